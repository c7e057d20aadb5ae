//! Templates and what docker prints for them. Each of [`CASES`] was given to `docker inspect --format` (20.10), with the
//! document below as that of a container: this is what it printed.

use super::{Data, Template};
use crate::show::inspect::shape;
use serde_json::{Value, json};

fn document() -> Value {
    json!({
        "Id": "6e3dfd367c0af1946523e55bc526ac2d5275cbbe9d026a75d1d7dca2cbc2f0d2",
        "Path": "sleep",
        "Args": ["100000"],
        "State": {"Status": "running", "Running": true, "ExitCode": 0, "StartedAt": "2026-11-21T18:45:05.947876041Z"},
        "Name": "/web",
        "RestartCount": 0,
        "ExecIDs": null,
        "HostConfig": {
            "Binds": ["vol1:/data", "/tmp:/host:ro"],
            "LogConfig": {"Type": "json-file", "Config": {}},
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "4000"}]},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "CapAdd": null,
            "Memory": 67108864,
            "MemorySwappiness": null,
            "PidsLimit": null,
        },
        "Mounts": [
            {"Type": "bind", "Source": "/tmp", "Destination": "/host", "Mode": "ro", "RW": false, "Propagation": "rslave"},
            {"Type": "volume", "Name": "vol1", "Source": "/v", "Destination": "/data", "Driver": "local", "Mode": "z",
                "RW": true, "Propagation": ""},
        ],
        "Config": {
            "Hostname": "web",
            "ExposedPorts": {"80/tcp": {}, "99/tcp": {}},
            "Env": ["A=1", "B=2"],
            "Cmd": ["sleep", "100000"],
            "Image": "base",
            "Volumes": null,
            "WorkingDir": "",
            "Entrypoint": null,
            "Labels": {"a": "b", "com.docker.foo-bar": "x <y>"},
        },
        "NetworkSettings": {
            "Ports": {
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "4000"}, {"HostIp": "::", "HostPort": "4000"}],
                "99/tcp": null,
            },
            "IPAddress": "172.17.0.2",
            "IPPrefixLen": 16,
            "Networks": {"bridge": {"IPAMConfig": null, "Aliases": null, "IPAddress": "172.17.0.2"}},
        },
    })
}

const CASES: &[(&str, &str)] = &[
    // Fields.
    ("{{.Name}}", "/web"),
    ("{{ .State.Running }}", "true"),
    ("{{.Config.Env}}", "[A=1 B=2]"),
    ("{{.Config.Labels}}", "map[a:b com.docker.foo-bar:x <y>]"),
    ("{{.Config.Labels.a}} {{.Config.Labels.no}}", "b <no value>"),
    ("{{.HostConfig.Binds}} {{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}}", "[vol1:/data /tmp:/host:ro] [] <nil>"),
    ("{{.Config.Volumes}} {{.Config.Entrypoint}} {{.ExecIDs}}", "map[] [] []"),
    ("{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig.Type}}", "{no 0} json-file"),
    ("{{.Config.ExposedPorts}}", "map[80/tcp:{} 99/tcp:{}]"),
    ("{{.NetworkSettings.Ports}}", "map[80/tcp:[{0.0.0.0 4000} {:: 4000}] 99/tcp:[]]"),
    ("{{.SizeRw}} {{.State.Health}} [{{.Config.StopSignal}}] {{.Config.Shell}}", "<nil> <nil> [] []"),
    ("{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}", "172.17.0.2/16"),
    ("{{.NetworkSettings.Networks.bridge.IPAddress}}", "172.17.0.2"),
    ("{{.NetworkSettings.Networks.bridge.IPAMConfig}} {{.NetworkSettings.Networks.bridge.Aliases}}", "<nil> []"),
    ("{{$.Name}} {{(.State).Status}} {{(index .Args 0)}}", "/web running 100000"),
    // Text, comments, trimming.
    ("a{{/* no */}}b{{- /* no */ -}} c", "abc"),
    ("x  {{- .Path -}}  y", "xsleepy"),
    ("x \n {{- 1}} {{2 -}} \n y", "x1 2y"),
    ("{{\"a\\tb\\n\"}}|", "a\tb\n|"),
    ("{ {{.Path}} }", "{ sleep }"),
    // Literals.
    ("{{\"q\\\"\\\\ \\u00e4\\x41\"}} {{`raw \\x`}} {{'a'}} {{true}} {{false}}", "q\"\\ \u{e4}A raw \\x 97 true false"),
    ("{{1}} {{-2}} {{0x1f}} {{1.5}} {{1e3}} {{1_000}} {{0b11}} {{0o17}} {{+3}}", "1 -2 31 1.5 1000 1000 3 15 3"),
    // Variables.
    ("{{$x := .Path}}{{$x}}-{{$x}}", "sleep-sleep"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{$s := .State}}{{$s.Status}}", "running"),
    ("{{with $n := .Name}}{{$n}}{{end}}", "/web"),
    // Pipelines and parentheses.
    ("{{.Name | len}}", "4"),
    ("{{.Name | printf \"%s-%s\" \"b\"}}", "b-/web"),
    ("{{len (index .Config.Env 0)}}", "3"),
    ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "4000"),
    ("{{.Config.Env | len | printf \"%d!\"}}", "2!"),
    ("{{(printf \"%s\" .Path) | upper}}", "SLEEP"),
    // if, else, with.
    ("{{if .State.Running}}y{{else}}n{{end}}", "y"),
    ("{{if .RestartCount}}y{{else if .ExecIDs}}m{{else if .Name}}e{{else}}n{{end}}", "e"),
    ("{{if .Config.WorkingDir}}y{{end}}|{{if .State.Health}}y{{else}}n{{end}}", "|n"),
    ("{{if .Config.Labels}}1{{end}}{{if .Config.Volumes}}2{{end}}{{if .State}}3{{end}}", "13"),
    ("{{with .State}}{{.Status}}{{end}}{{with .ExecIDs}}x{{else}}none{{end}}", "runningnone"),
    ("{{with .State}}{{$.Name}}{{end}}", "/web"),
    // range.
    ("{{range .Config.Env}}{{.}};{{end}}", "A=1;B=2;"),
    ("{{range $e := .Config.Env}}{{$e}};{{end}}", "A=1;B=2;"),
    ("{{range $i, $e := .Config.Env}}{{$i}}={{$e}};{{end}}", "0=A=1;1=B=2;"),
    ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=b;com.docker.foo-bar=x <y>;"),
    ("{{range .Config.Labels}}{{.}};{{end}}", "b;x <y>;"),
    ("{{range .ExecIDs}}x{{else}}none{{end}}", "none"),
    ("{{range .Mounts}}{{.Type}}:{{.Destination}} {{end}}", "bind:/host volume:/data "),
    ("{{range .Mounts}}{{.Name}}|{{end}}", "|vol1|"),
    ("{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}{{end}}{{end}}", "vol1"),
    (
        "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{if $c}}{{(index $c 0).HostPort}}{{else}}-{{end}}; {{end}}",
        "80/tcp -> 4000; 99/tcp -> -; ",
    ),
    (
        "{{range $p, $c := .NetworkSettings.Ports}}{{$p}}{{range $c}} {{.HostIp}}:{{.HostPort}}{{end}};{{end}}",
        "80/tcp 0.0.0.0:4000 :::4000;99/tcp;",
    ),
    ("{{range $n, $c := .NetworkSettings.Networks}}{{$n}} {{$c.IPAddress}}{{end}}", "bridge 172.17.0.2"),
    ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}", "A=1, B=2"),
    ("{{range .Config.Env}}{{if eq . \"B=2\"}}{{continue}}{{end}}{{.}}{{end}}", "A=1"),
    ("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=1"),
    // Comparing.
    ("{{eq .Path \"sleep\"}} {{ne .Path \"sleep\"}} {{eq 1 2 3 1}}", "true false true"),
    ("{{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1.5 2.5}}", "true true true false"),
    ("{{and 1 0}} {{and true \"x\"}} {{or 0 \"x\"}} {{or false 0}} {{not 0}}", "0 x x 0 true"),
    ("{{and false .Nosuch.Thing | not}}", "true"),
    ("{{if and .State.Running (eq .State.ExitCode 0)}}good{{end}}", "good"),
    ("{{if or (eq .Path \"a\") (eq .Path \"sleep\")}}yes{{end}}", "yes"),
    // len, index, slice.
    ("{{len .Name}} {{len .Config.Env}} {{len .Config.Labels}} {{len .ExecIDs}}", "4 2 2 0"),
    ("{{index .Config.Env 1}} {{index .Config.Labels \"a\"}} [{{index .Config.Labels \"no\"}}]", "B=2 b []"),
    ("{{index .Config.Labels \"com.docker.foo-bar\"}}", "x <y>"),
    ("{{index .Name 0}} {{index .NetworkSettings.Ports \"81/tcp\"}}", "47 <no value>"),
    ("{{slice .Id 0 12}} {{slice .Name 1}} {{slice .Config.Env 1 2}}", "6e3dfd367c0a web [B=2]"),
    // print, printf, println.
    ("{{print 1 2 \"a\" \"b\" 3}}|{{print}}|{{println .Path 1}}|", "1 2ab3||sleep 1\n|"),
    (
        "{{printf \"%s|%-8s|%8s|%5d|%05d|%v|%q|%x\" .Name \"ab\" \"ab\" 3 42 true \"a\\\"\" 255}}",
        "/web|ab      |      ab|    3|00042|true|\"a\\\"\"|ff",
    ),
    (
        "{{printf \"%.2f %e %t %c %U %o %b %X %#x %+d %%\" 1.5 1.5 true 65 65 8 5 255 255 5}}",
        "1.50 1.500000e+00 true A U+0041 10 101 FF 0xff +5 %",
    ),
    (
        "{{printf \"%d %s\" \"a\" 1}} {{printf \"%s\"}} {{printf \"a\" 1}} {{printf \"%.2s|%T\" \"abc\" 1}}",
        "%!d(string=a) %!s(int=1) %!s(MISSING) a%!(EXTRA int=1) ab|int",
    ),
    ("{{printf \"%s %v %q\" .Config.Env .Config.Cmd .Config.Env}}", "[A=1 B=2] [sleep 100000] [\"A=1\" \"B=2\"]"),
    ("{{printf \"%*d|%x\" 5 42 \"hi\"}}", "   42|6869"),
    // Escapes.
    ("{{html \"<a href='x'>&\\\"\"}}", "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
    ("{{js \"it's \\\"<x>\\\" & = \\n\"}}", "it\\'s \\\"\\u003Cx\\u003E\\\" \\u0026 \\u003D \\u000A"),
    ("{{urlquery \"a b&c=/\u{e4}~-_.\"}}", "a+b%26c%3D%2F%C3%A4~-_."),
    // Docker's own.
    ("{{json .Config.Env}} {{json .Name}} {{json .ExecIDs}}", "[\"A=1\",\"B=2\"] \"/web\" null"),
    ("{{json .Config.Labels}}", "{\"a\":\"b\",\"com.docker.foo-bar\":\"x <y>\"}"),
    ("{{.Config.Cmd | json}} {{json 1}} {{json \"a\\\"b\"}}", "[\"sleep\",\"100000\"] 1 \"a\\\"b\""),
    ("{{join .Config.Env \",\"}} {{split \"a:b\" \":\"}} {{index (split \"a:b\" \":\") 1}}", "A=1,B=2 [a b] b"),
    ("{{upper .Path}} {{lower \"ABC\"}} {{title \"one two-three\"}}", "SLEEP abc One Two-Three"),
    ("{{pad .Path 2 3}}|{{pad \"\" 2 3}}|{{truncate \"abcdef\" 3}} {{truncate \"ab\" 3}}", "  sleep   ||abc ab"),
    ("{{range split .Name \"/\"}}<{{.}}>{{end}}", "<><web>"),
];

/// What does not work, and what docker says then.
const ERRORS: &[(&str, &str)] = &[
    ("{{", "template: :1: unclosed action"),
    ("{{.A", "template: :1: unclosed action"),
    ("{{\"a", "template: :1: unterminated quoted string"),
    ("{{/* a", "template: :1: unclosed comment"),
    ("{{foo .X}}", "template: :1: function \"foo\" not defined"),
    ("a\n{{foo}}", "template: :2: function \"foo\" not defined"),
    ("{{end}}", "template: :1: unexpected {{end}}"),
    ("{{if}}x{{end}}", "template: :1: missing value for if"),
    ("{{}}", "template: :1: missing value for command"),
    ("{{if .Name}}x", "template: :1: unexpected EOF"),
    ("{{else}}", "template: :1: unexpected {{else}}"),
    ("{{$x}}", "template: :1: undefined variable \"$x\""),
    ("{{(.Name}}", "template: :1: unclosed left paren"),
    ("{{.Name | 3}}", "template: :1: non executable command in pipeline stage 2"),
    ("{{break}}", "template: :1: {{break}} outside {{range}}"),
    ("{{.Nosuch}}", "template: :1:2: executing \"\" at <.Nosuch>: map has no entry for key \"Nosuch\""),
    ("{{.State.Nosuch}}", "template: :1:8: executing \"\" at <.State.Nosuch>: map has no entry for key \"Nosuch\""),
    (
        "a\nb {{.State.Nosuch}}",
        "template: :2:10: executing \"\" at <.State.Nosuch>: map has no entry for key \"Nosuch\"",
    ),
    (
        "{{.State.Health.Status}}",
        "template: :1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"",
    ),
    ("{{.Id.Foo}}", "template: :1:5: executing \"\" at <.Id.Foo>: can't evaluate field Foo in type interface {}"),
    (
        "{{(index (index .NetworkSettings.Ports \"81/tcp\") 0).HostPort}}",
        "template: :1:3: executing \"\" at <index (index .NetworkSettings.Ports \"81/tcp\") 0>: error calling index: index of untyped nil",
    ),
    (
        "{{index .Config.Cmd 7}}",
        "template: :1:2: executing \"\" at <index .Config.Cmd 7>: error calling index: index out of range: 7",
    ),
    ("{{.Config.Cmd 3}}", "template: :1:9: executing \"\" at <.Config.Cmd>: Cmd is not a method but has arguments"),
    ("{{3 4}}", "template: :1:2: executing \"\" at <3>: can't give argument to non-function 3"),
    ("{{nil}}", "template: :1:2: executing \"\" at <nil>: nil is not a command"),
    (
        "{{eq 1 \"a\"}}",
        "template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison",
    ),
    (
        "{{lt 1 \"a\"}}",
        "template: :1:2: executing \"\" at <lt 1 \"a\">: error calling lt: incompatible types for comparison",
    ),
    (
        "{{lt true false}}",
        "template: :1:2: executing \"\" at <lt true false>: error calling lt: invalid type for comparison",
    ),
    ("{{eq 1}}", "template: :1:2: executing \"\" at <eq 1>: error calling eq: missing argument for comparison"),
    ("{{and}}", "template: :1:2: executing \"\" at <and>: wrong number of args for and: want at least 1 got 0"),
    ("{{not 1 2}}", "template: :1:2: executing \"\" at <not>: wrong number of args for not: want 1 got 2"),
    ("{{len 3}}", "template: :1:2: executing \"\" at <len 3>: error calling len: len of type int"),
    ("{{range 3}}{{end}}", "template: :1:8: executing \"\" at <3>: range can't iterate over 3"),
    (
        "{{slice .Name 9}}",
        "template: :1:2: executing \"\" at <slice .Name 9>: error calling slice: index out of range: 9",
    ),
    ("{{1 | .Name}}", "template: :1:6: executing \"\" at <.Name>: Name is not a method but has arguments"),
];

fn rendered(template: &str) -> super::Result<String> {
    let document = document();
    let data = Data { shape: shape::shape, absent: shape::absent, ..Data::map(&document) };
    Template::parse(template)?.render(&data)
}

#[test]
fn templates_give_what_docker_prints() {
    for (template, expected) in CASES {
        assert_eq!(rendered(template).as_deref(), Ok(*expected), "{template}");
    }
}

#[test]
fn what_is_wrong_is_told_in_gos_words() {
    for (template, expected) in ERRORS {
        assert_eq!(rendered(template).unwrap_err().to_string(), *expected, "{template}");
    }
}

#[test]
fn no_template_is_a_panic() {
    let pieces = [
        "{{", "}}", "{{-", "-}}", ".", ".A", "$", "$x", ":=", "=", "|", "(", ")", "\"", "`", "'", "if", "else", "end",
        "range", "index", "json", "1", "0x", "1e", " ", "\n", ",", "/*", "*/", "\u{e4}", "printf", "\"%*d\"", "nil",
        "slice",
    ];
    // A small generator of its own: the same templates each time.
    let mut seed = 7u64;
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    let document = document();
    let data = Data { shape: shape::shape, absent: shape::absent, ..Data::map(&document) };
    for _ in 0..20_000 {
        let template: String = (0..next() % 12).map(|_| pieces[next() % pieces.len()]).collect();
        for template in [format!("{{{{{template}}}}}"), template] {
            let _ = Template::parse(&template).and_then(|template| template.render(&data));
        }
    }
    let deep = "(".repeat(100_000);
    assert!(rendered(&format!("{{{{{deep}}}}}")).is_err());
    assert!(rendered(&"{{if 1}}".repeat(10_000)).is_err());
}
