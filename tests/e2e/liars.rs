//! Registries that stall, break off and lie: a pull ends well or with a sentence, and no wrong byte is ever taken.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::in_memory::{Image, noise};
use ctr_tests::liar::{Answer, Liar, Request};
use ctr_tests::{Output, Sandbox, poll_until};
use layout::Digest;
use layout::oci::image::{INDEX, LAYER};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn name(registry: &Liar) -> String {
    format!("{}/app:latest", registry.host())
}

/// Pulls with little patience.
fn pull(sandbox: &Sandbox, registry: &Liar) -> Output {
    sandbox.run(sandbox.tool("layerfs").env("CTR_REGISTRY_TIMEOUT", "2").args(["pull", &name(registry)]))
}

/// The pull must end well, and the image be what the registry has.
#[track_caller]
fn succeeds(sandbox: &Sandbox, image: &Image, registry: &Liar) {
    pull(sandbox, registry).ok().shows("Status: Downloaded newer image");
    for layer in &image.layers {
        assert_eq!(std::fs::read(sandbox.layout().blob(layer)).unwrap(), image.blobs[layer]);
    }
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    assert_eq!(remains(sandbox), Vec::<String>::new());
}

/// The pull must fail with these words, and leave a store in which nothing is wrong and nothing has a name.
#[track_caller]
fn fails(
    image: &Image,
    lie: impl Fn(&Image, &Request) -> Option<Answer> + Send + Sync + 'static,
    words: &str,
) -> Sandbox {
    let sandbox = Sandbox::new();
    let registry = image.registry(lie);
    pull(&sandbox, &registry).exits(125).says(words);
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    sandbox.run(sandbox.tool("layerfs").args(["ls", "-a", "--json"])).ok().prints("[]");
    for entry in std::fs::read_dir(sandbox.layout().blobs()).unwrap() {
        let entry = entry.unwrap();
        let digest = Digest::of(&std::fs::read(entry.path()).unwrap());
        assert_eq!(entry.file_name().to_str(), Some(digest.hex()));
    }
    sandbox
}

/// What is in `tmp/`.
fn remains(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.layout().tmp()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_honest_registry_is_pulled_from_with_several_connections() {
    let (sandbox, image) = (Sandbox::new(), Image::new(5));
    let registry = image.registry(|_, _| None);
    succeeds(&sandbox, &image, &registry);
    assert_eq!(registry.requests("GET /v2/app/blobs/").len(), 6);
    pull(&sandbox, &registry).ok().shows("Status: Image is up to date");
    assert_eq!(registry.requests("GET /v2/app/blobs/").len(), 6, "nothing is loaded twice");
}

#[test]
fn a_connection_that_breaks_goes_on_from_the_byte_that_is_missing() {
    let (sandbox, image) = (Sandbox::new(), Image::new(1));
    let registry =
        image.registry(|image, request| Some(Answer::part(image.asked(request)?, request.from()).cut(100_000)));
    succeeds(&sandbox, &image, &registry);
    let of_layer = format!("GET /v2/app/blobs/{}", image.layers[0]);
    let asked: Vec<usize> = registry.requests(&of_layer).iter().map(Request::from).collect();
    assert_eq!(asked, [0, 100_000, 200_000, 300_000]);
}

#[test]
fn a_registry_that_falls_silent_is_asked_again_and_then_given_up() {
    let (sandbox, image) = (Sandbox::new(), Image::new(2));
    let registry = image.registry(|image, request| {
        Some(Answer::part(image.asked(request)?, request.from()))
            .filter(|_| request.from() == 0)
            .map(|a| a.stalled(1000))
    });
    // The configuration is smaller than that and comes whole, but its connection is no use any more.
    succeeds(&sandbox, &image, &registry);

    let sandbox = fails(
        &image,
        |image, request| {
            let blob = image.asked(request).filter(|blob| blob.len() > 100_000)?;
            Some(Answer::part(blob, request.from().max(1000)).stalled(0))
        },
        "layerfs: ",
    );
    assert!(remains(&sandbox).iter().all(|name| name.starts_with("blob-")), "{:?}", remains(&sandbox));
}

#[test]
fn ranges_that_are_ignored_or_wrong_do_no_harm() {
    let image = Image::new(1);
    type Lie = fn(&[u8], usize) -> Answer;
    let lies: [Lie; 4] = [
        |blob, _| Answer::part(blob, 0),
        |blob, from| Answer::part(blob, from / 2),
        |blob, from| Answer { headers: Vec::new(), ..Answer::part(blob, from) },
        |_, _| Answer::new(416, "text/plain", "no"),
    ];
    for lie in lies {
        let sandbox = Sandbox::new();
        let registry = image.registry(move |image, request| {
            let blob = image.asked(request).filter(|blob| blob.len() > 100_000)?;
            Some(match request.from() {
                0 if request.header("range").is_none() => Answer::part(blob, 0).cut(200_000),
                from => lie(blob, from),
            })
        });
        let first = AtomicU32::new(0);
        let registry = match lie as usize == lies[3] as usize || lie as usize == lies[2] as usize {
            false => registry,
            // These have only the whole to offer, and the second time it comes whole.
            true => image.registry(move |image, request| {
                let blob = image.asked(request).filter(|blob| blob.len() > 100_000)?;
                let whole = Answer::part(blob, 0);
                Some(match request.from() {
                    0 if first.fetch_add(1, Ordering::SeqCst) == 0 => whole.cut(200_000),
                    0 => whole,
                    from => lie(blob, from),
                })
            }),
        };
        succeeds(&sandbox, &image, &registry);
    }
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_is_refused() {
    let image = Image::new(2);
    fails(
        &image,
        |image, request| {
            let mut blob = image.asked(request)?.to_vec();
            let middle = blob.len() / 2;
            blob[middle] ^= 1;
            Some(Answer::part(&blob, request.from()))
        },
        "has the digest sha256:",
    );
    // One byte more or less than the manifest says.
    for (change, words) in [(1, "bytes are here"), (-1, "sends more than the")] {
        let mut lied = image.clone();
        let size = lied.manifest["layers"][1]["size"].as_i64().unwrap();
        lied.manifest["layers"][1]["size"] = json!(size + change);
        fails(&lied, |_, _| None, words);
    }
    // What its configuration says of the layer is not so.
    let mut lied = image.clone();
    lied.config["rootfs"]["diff_ids"][1] = json!(Digest::of(b"something else"));
    lied.seal();
    fails(&lied, |_, _| None, "and the image says");
}

#[test]
fn documents_that_fit_nothing_are_refused() {
    let image = Image::new(1);
    let with = |change: &dyn Fn(&mut Image)| {
        let mut changed = image.clone();
        change(&mut changed);
        changed
    };
    let no_lie = |_: &Image, _: &Request| None;
    for (changed, words) in [
        (with(&|i| i.manifest["layers"][0]["mediaType"] = json!("text/html")), "cannot be unpacked"),
        (with(&|i| i.manifest["config"]["mediaType"] = json!("application/x-chart")), "no image but an artifact"),
        (with(&|i| i.manifest["config"]["size"] = json!(1u64 << 40)), "its configuration has"),
        (with(&|i| i.manifest["layers"][0]["size"] = json!(u64::MAX)), "no space left on device"),
        (with(&|i| i.manifest["layers"] = json!([])), "its manifest lists 0 layers"),
        (with(&|i| i.manifest = json!({"schemaVersion": 1})), "schema 1"),
        (with(&|i| i.manifest["mediaType"] = json!(INDEX)), "and the registry that it is"),
        (with(&|i| i.manifest["padding"] = json!("x".repeat(5 << 20))), "larger than"),
    ] {
        fails(&changed, no_lie, words);
    }
    let mut windows = image.clone();
    windows.config["os"] = json!("windows");
    windows.seal();
    fails(&windows, no_lie, "cannot be used on this platform");
}

#[test]
fn indexes_that_lead_nowhere_or_back_to_themselves_are_refused() {
    let image = Image::new(1);
    let index = |digest: &Digest, platform: Value| {
        let mut listed = json!({"mediaType": INDEX, "digest": digest, "size": 1});
        if !platform.is_null() {
            listed["platform"] = platform;
        }
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]})
    };
    // Whatever it is asked for, it gives the same index. A digest cannot be of a document that holds it.
    let loops = index(&Digest::of(b"any"), Value::Null);
    fails(
        &image,
        move |_, request| request.path.contains("/manifests/").then(|| Answer::new(200, INDEX, loops.to_string())),
        "digest",
    );
    let other = index(&Digest::of(b"any"), json!({"os": "linux", "architecture": "pdp11"}));
    fails(
        &image,
        move |_, request| request.path.contains("/manifests/").then(|| Answer::new(200, INDEX, other.to_string())),
        "it has linux/pdp11",
    );
}

#[test]
fn a_pull_that_was_killed_is_gone_on_with() {
    let (sandbox, image) = (Sandbox::new(), Image::new(1));
    let registry = image.registry(|image, request| {
        let blob = image.asked(request).filter(|blob| blob.len() > 100_000)?;
        Some(Answer::part(blob, request.from())).filter(|_| request.from() == 0).map(|whole| whole.stalled(150_000))
    });
    let mut command = sandbox.tool("layerfs");
    command.args(["pull", &name(&registry)]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = command.spawn().unwrap();
    let part = sandbox.layout().tmp().join(format!("blob-{}", image.layers[0].hex()));
    poll_until(60, "half of the blob", || part.metadata().ok().filter(|file| file.len() == 150_000));
    killed.kill().unwrap();
    killed.wait().unwrap();
    succeeds_after_kill(&sandbox, &image, &registry);
    let of_layer = format!("GET /v2/app/blobs/{}", image.layers[0]);
    let asked: Vec<usize> = registry.requests(&of_layer).iter().map(Request::from).collect();
    assert_eq!(asked, [0, 150_000]);
}

#[track_caller]
fn succeeds_after_kill(sandbox: &Sandbox, image: &Image, registry: &Liar) {
    pull(sandbox, registry).ok().shows("Status: Downloaded newer image");
    assert_eq!(std::fs::read(sandbox.layout().blob(&image.layers[0])).unwrap(), image.layer(0));
    sandbox.run(sandbox.tool("layerfs").arg("gc")).ok();
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    assert_eq!(remains(sandbox), Vec::<String>::new());
}

#[test]
fn two_pulls_of_one_image_load_each_blob_once() {
    let (sandbox, image) = (Sandbox::new(), Image::new(4));
    // No blob is whole before both have asked for the manifest: so they really are at it together.
    let asked = Arc::new(AtomicU32::new(0));
    let registry = image.registry(move |image, request| {
        if request.method == "GET" && request.path.contains("/manifests/") {
            asked.fetch_add(1, Ordering::SeqCst);
        } else if image.asked(request).is_some() {
            poll_until(60, "both pulls", || (asked.load(Ordering::SeqCst) >= 2).then_some(()));
        }
        None
    });
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..2).map(|_| scope.spawn(|| pull(&sandbox, &registry))).collect();
        for pulled in pulls {
            pulled.join().unwrap().ok();
        }
    });
    assert_eq!(registry.requests("GET /v2/app/blobs/").len(), 5);
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    assert_eq!(remains(&sandbox), Vec::<String>::new());
}

/// What a registry answers that takes uploads, unless `lie` says otherwise; what came is in `stored`.
fn taker(lie: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Liar {
    let stored = Mutex::new(BTreeSet::new());
    Liar::start(move |request| {
        let ok = |status| Answer::new(status, "text/plain", "");
        let digest = request.path.split(['/', '=']).next_back().unwrap_or_default().to_owned();
        if let Some(answer) = lie(request) {
            return answer;
        }
        match request.method.as_str() {
            "HEAD" if stored.lock().unwrap().contains(&digest) => ok(200),
            "HEAD" => ok(404),
            "POST" => ok(202).with("Location", "/v2/app/blobs/uploads/1"),
            "PUT" => {
                stored.lock().unwrap().insert(digest);
                ok(201)
            }
            _ => ok(200),
        }
    })
}

fn push(sandbox: &Sandbox, registry: &Liar) -> Output {
    sandbox.run(sandbox.tool("layerfs").args(["tag", "app", &name(registry)])).ok();
    sandbox.run(sandbox.tool("layerfs").env("CTR_REGISTRY_TIMEOUT", "2").args(["push", &name(registry)]))
}

fn with_image() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("file"), noise(1, 300_000)).unwrap();
    sandbox.sh("tar -c file | layerfs import - app").ok();
    sandbox
}

#[test]
fn an_upload_that_breaks_is_begun_anew_and_one_that_is_refused_is_not() {
    let sandbox = with_image();
    let broken = AtomicU32::new(0);
    let registry = taker(move |request| {
        // What is sent as a stream cannot be sent again: twice it has come, and nobody hears of it.
        let breaks = request.header("expect").is_some() && broken.fetch_add(1, Ordering::SeqCst) < 2;
        breaks.then(|| Answer::new(201, "text/plain", "").silent())
    });
    push(&sandbox, &registry).ok().shows("Pushed").shows("latest: digest: sha256:");
    assert_eq!(registry.requests("POST /v2/app/blobs/uploads/").len(), 4);

    let registry = taker(|request| {
        let refuses = request.method == "PUT" && request.path.contains("/blobs/");
        let said = r#"{"errors": [{"code": "DIGEST_INVALID", "message": "provided digest did not match"}]}"#;
        refuses.then(|| Answer::new(400, "application/json", said))
    });
    push(&sandbox, &registry).exits(125).says("provided digest did not match");
    assert!(registry.requests("PUT /v2/app/blobs/").len() <= 2);
    assert_eq!(registry.requests("PUT /v2/app/manifests/").len(), 0, "no manifest without its blobs");
}

#[test]
fn memory_does_not_grow_with_the_layer() {
    // A tar as it is, not compressed, larger than all the memory that is allowed.
    let mut image = Image::new(0);
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("sh")
        .args(["-c", "truncate -s 80M file && tar -cf layer file"])
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(made.success());
    let layer = std::fs::read(dir.path().join("layer")).unwrap();
    let (size, digest) = (layer.len(), image.put(layer));
    image.config["rootfs"]["diff_ids"] = json!([digest]);
    image.manifest["layers"] = json!([{"mediaType": LAYER, "digest": digest, "size": size}]);
    image.seal();
    let (sandbox, registry) = (Sandbox::new(), image.registry(|_, _| None));
    let script = format!("ulimit -v 65536 && layerfs pull {}", name(&registry));
    sandbox.sh(&script).ok().shows("Status: Downloaded newer image");
    let taker = taker(|_| None);
    let script = format!("layerfs tag {} {1} && ulimit -v 65536 && layerfs push {1}", name(&registry), name(&taker));
    sandbox.sh(&script).ok().shows("Pushed");
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
}

#[test]
fn a_layer_that_links_to_files_of_the_layer_below_is_extracted_above_it() {
    let mut image = Image::new(0);
    let dir = tempfile::tempdir().unwrap();
    let script = "echo content > a && tar -cf 0 a && ln a b && tar -cf 1 a b && tar --delete -f 1 a";
    assert!(std::process::Command::new("sh").args(["-c", script]).current_dir(dir.path()).status().unwrap().success());
    let (mut listed, mut diff_ids) = (Vec::new(), Vec::new());
    for number in ["0", "1"] {
        let layer = std::fs::read(dir.path().join(number)).unwrap();
        let size = layer.len();
        let digest = image.put(layer);
        listed.push(json!({"mediaType": LAYER, "digest": digest, "size": size}));
        diff_ids.push(digest.clone());
        image.layers.push(digest);
    }
    image.config["rootfs"]["diff_ids"] = json!(diff_ids);
    image.manifest["layers"] = json!(listed);
    image.seal();
    let (sandbox, registry) = (Sandbox::new(), image.registry(|_, _| None));
    succeeds(&sandbox, &image, &registry);
    let layout = sandbox.layout();
    let names = layout::images::layer_names(&layout, &diff_ids);
    assert_eq!(std::fs::read_to_string(layout.layer_diff(&names[1]).join("b")).unwrap(), "content\n");
    sandbox.run(sandbox.tool("layerfs").args(["rm", &name(&registry)])).ok();
    assert_eq!(std::fs::read_dir(layout.layers()).unwrap().count(), 0);
}
