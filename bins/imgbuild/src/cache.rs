//! The build cache: there is none but the images themselves.
//!
//! Each step leaves an image that knows its parent. A step can be skipped when some image has the parent that
//! this step starts from, and says in the last line of its history what this step is about to do. So the cache can
//! be read with `ctr images -a` and `ctr history`, and `ctr rmi` empties it.

use layout::Digest;
use layout::images::Image;
use layout::oci::image::RunConfig;

/// Finds the image that a step would make, the newest if there are several.
///
/// The configuration is compared too, because the text alone can be read in two ways: `ENV a="b c=d"` and
/// `ENV a=b c=d` leave the same line.
pub fn find<'a>(
    images: &'a [Image],
    parent: Option<&Digest>,
    created_by: &str,
    config: &RunConfig,
) -> Option<&'a Image> {
    let is_it = |image: &&Image| {
        let last = image.config.history.last().and_then(|step| step.created_by.as_deref());
        // On `scratch` there is no parent: then the one step must be all that there is.
        let same_parent = image.parent.as_ref() == parent && (parent.is_some() || image.config.history.len() == 1);
        same_parent && last == Some(created_by) && image.config.config == *config
    };
    let age = |image: &&Image| image.config.created.as_deref().and_then(layout::time::parse);
    images.iter().filter(is_it).max_by_key(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::oci::image::{self, Descriptor, History, ImageConfig, Manifest};

    fn image(name: &str, parent: Option<&str>, created: &str, steps: &[&str]) -> Image {
        let step = |text: &&str| History { created_by: Some((*text).to_owned()), ..History::default() };
        let descriptor = Descriptor::new(image::CONFIG, Digest::of(name.as_bytes()), 1);
        Image {
            id: Digest::of(name.as_bytes()),
            descriptor: descriptor.clone(),
            manifest: Manifest {
                schema_version: 2,
                media_type: None,
                config: descriptor,
                layers: Vec::new(),
                extra: Default::default(),
            },
            config: ImageConfig {
                created: Some(created.to_owned()),
                history: steps.iter().map(step).collect(),
                ..ImageConfig::default()
            },
            names: Vec::new(),
            repo_digests: Vec::new(),
            parent: parent.map(|parent| Digest::of(parent.as_bytes())),
        }
    }

    #[test]
    fn a_step_is_found_by_parent_text_and_configuration() {
        let (old, new) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
        let images = [
            image("base", None, old, &["base"]),
            image("newer", Some("base"), new, &["base", "RUN x"]),
            image("older", Some("base"), old, &["base", "RUN x"]),
            image("next", Some("newer"), new, &["base", "RUN x", "RUN y"]),
        ];
        let base = Digest::of(b"base");
        let config = RunConfig::default();
        let found = |parent, text, config| find(&images, parent, text, config).map(|image| image.id.clone());
        assert_eq!(found(Some(&base), "RUN x", &config), Some(Digest::of(b"newer")));
        assert_eq!(found(Some(&base), "RUN y", &config), None, "another parent");
        assert_eq!(found(None, "RUN x", &config), None);
        assert_eq!(found(None, "base", &config), Some(base.clone()));
        let other = RunConfig { user: "web".into(), ..RunConfig::default() };
        assert_eq!(found(Some(&base), "RUN x", &other), None, "another configuration");
    }
}
