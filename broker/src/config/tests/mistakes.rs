//! The one line that each mistake in a configuration gets.

use super::*;

#[test]
fn a_mistake_in_bartizan_toml_is_one_line_with_file_line_and_remedy() {
    for (from, to, error) in [
        ("team =", "tema =", "config/bartizan.toml:4: unknown key \"tema\"; did you mean \"team\"?"),
        ("[people]", "[peeple]", "config/bartizan.toml:12: unknown key \"peeple\"; did you mean \"people\"?"),
        (
            "bob = \"operator\"",
            "bob = \"opertor\"",
            "config/bartizan.toml:14: there is no level \"opertor\"; did you mean \"operator\"?",
        ),
        (
            "bob =",
            "\"@bob\" =",
            "config/bartizan.toml:14: \"@bob\" is not a user name; write it in lower case and without @",
        ),
        (
            "https://",
            "",
            "config/bartizan.toml:3: \"chat.example.com\" is not a server's address: it must begin with https:// (or http:// for a server on this machine); write it like https://chat.example.com",
        ),
        (
            "\"main\"",
            "\"Main Team\"",
            "config/bartizan.toml:4: \"Main Team\" is not a team's name; use the name in the address of its channels, in lower case",
        ),
        (
            "\"main\"",
            "3",
            "config/bartizan.toml:4: wrong type: integer `3`, expected a string; docs/configuration.md says what belongs here",
        ),
        (
            "\"main\"",
            "\"main\"\nproxy = \"http://me:secret@proxy:1\"",
            "config/bartizan.toml:5: \"http://me:secret@proxy:1\" is not a proxy's address; write it like http://proxy.example.com:3128, without a user",
        ),
        (
            "\"main\"",
            "\"main\"\nclient-key = \"key.pem\"",
            "config/bartizan.toml:5: a key without its certificate; name the file with the certificate as client-certificate",
        ),
        (
            "\"main\"",
            "\"main\"\nclient-certificate = \"cert.pem\"\nclient-key = \"token\"",
            "config/bartizan.toml:5: config/cert.pem does not exist; create it or correct the path",
        ),
        (
            "[bot]",
            "[limits]\njobs = \"roadmap\"\n[bot]",
            "config/bartizan.toml:7: wrong type: string \"roadmap\", expected a whole number of at least 0; docs/configuration.md says what belongs here",
        ),
        (
            "[server]\n",
            "profiles = 3\n[server]\n",
            "config/bartizan.toml:2: wrong type: integer `3`, expected a table; docs/configuration.md says what belongs here",
        ),
        (
            "team = \"main\"\n",
            "",
            "config/bartizan.toml:2: the key \"team\" is missing; add it (docs/configuration.md describes it)",
        ),
        ("\"token\"", "\"tokn\"", "config/bartizan.toml:7: config/tokn does not exist; create it or correct the path"),
        (
            "\"token\"\n",
            "\"token\"\nprefix = \"go \"\n",
            "config/bartizan.toml:8: \"go \" cannot be a prefix; use one to three punctuation characters, like \"!\", without @ / \\ and quotes",
        ),
        (
            "[state]",
            "[limits]\nstale-after = \"5\"\n[state]",
            "config/bartizan.toml:10: \"5\" is not a duration; write it like \"30s\", \"5m\" or \"1h 30m\"",
        ),
        ("[state]", "[limits]\njobs = 0\n[state]", "config/bartizan.toml:10: jobs is 0; give a number from 1 to 1000"),
        (
            "[state]",
            "[limits]\nattachment = \"2 MiB\"\n[state]",
            "config/bartizan.toml:10: attachment is 2097152; give a number from 0 to 1048576",
        ),
        (
            "[state]",
            "[sandbox]\nrequire = [\"file-read\"]\n[state]",
            "config/bartizan.toml:10: unknown word \"file-read\"; did you mean \"files-read\"?",
        ),
        (
            "[state]",
            "[scripts]\nallowlist = \"x.toml\"\n[state]",
            "config/bartizan.toml:10: config/x.toml does not exist; create it or correct the path",
        ),
        (
            "[state]",
            "[profiles.web]\nnetwork = [\"a\"]\n[state]",
            "config/bartizan.toml:10: profile \"web\": \"a\" is not a host and a port; write it like \"host.example.com:443\"",
        ),
        (
            "[state]",
            "[profiles.web]\nmemory = \"1 KiB\"\n[state]",
            "config/bartizan.toml:10: profile \"web\": memory is so small that nothing could run; give at least 16 MiB",
        ),
        ("[state]", "[state", "config/bartizan.toml:9: "),
        (
            "[server]",
            "[server]\nchannels = []",
            "config/bartizan.toml:3: the list of channels is empty; name channels, or remove the key for every channel",
        ),
        (
            "[server]",
            "[server]\nchannels = [\"#ops\"]",
            "config/bartizan.toml:3: \"#ops\" is not a channel's name; use the name in its address: lower case, without #",
        ),
    ] {
        let found = Place::error_of_main(from, to);
        assert!(found == error || (error.ends_with(": ") && found.starts_with(error)), "\n{found}\n{error}");
    }
}

#[test]
fn a_mistake_in_the_allowlist_is_one_line_with_file_line_and_remedy() {
    for (from, to, error) in [
        ("timeout =", "timeuot =", "7: unknown key \"timeuot\"; did you mean \"timeout\"?"),
        (
            "\"operator\"",
            "\"operater\"",
            "6: script \"deploy\": there is no level \"operater\"; did you mean \"operator\"?",
        ),
        (
            "\"database\"]",
            "\"database\"]\ncontext = \"a b\"",
            "14: script \"deploy\": argument \"service\": \"a b\" is not the name of a context; use 1 to 64 letters, digits, - _ and .",
        ),
        (
            "\"database\"]",
            "\"database\"]\ncontext = \"x\"\nsensitive = true",
            "14: script \"deploy\": argument \"service\": what is sensitive is not remembered; remove context or sensitive",
        ),
        (
            "\"database\"]",
            "\"it\"]\ncontext = \"x\"",
            "14: script \"deploy\": argument \"service\": \"it\" is one of its values, and stands for another one; remove one of the two",
        ),
        (
            "\"database\"]\nrequired = true\n\n[scripts.arguments.environment]",
            "\"database\"]\ncontext = \"x\"\n\n[scripts.arguments.environment]\ncontext = \"x\"",
            "16: script \"deploy\": two arguments have the context \"x\"; give one of them another context",
        ),
        (
            "\"operator\"",
            "\"operator\"\nsteps = [\"deplyo x\"]",
            "7: script \"deploy\": there is no script \"deplyo\"; did you mean \"deploy\"?",
        ),
        (
            "\"operator\"",
            "\"operator\"\nfinally = [\"deploy {servcie}\"]",
            "7: script \"deploy\": there is no argument \"servcie\" here; did you mean {service}?",
        ),
        (
            "\"operator\"",
            "\"operator\"\nsteps = [\"deploy {service}\"]",
            "7: script \"deploy\": by way of deploy it runs itself, or more than 5 pipelines in each other; remove a step",
        ),
        (
            "\"operator\"",
            "\"operator\"\napprovals = 1\napprover-level = \"admin\"\nsteps = [\"deploy {service}\"]",
            "7: script \"deploy\": what is to be approved has steps, which nobody who approves it would see; remove the steps or the approvals",
        ),
        ("\"operator\"", "\"banned\"", "6: script \"deploy\": a script for banned people; use user, operator or admin"),
        (
            "\"30m\"",
            "\"soon\"",
            "7: script \"deploy\": \"soon\" is not a duration; write it like \"30s\", \"5m\" or \"1h 30m\"",
        ),
        (
            "\"30m\"",
            "0",
            "7: script \"deploy\": the timeout is nothing or more than a week; write it like \"30s\" or \"10m\"",
        ),
        (
            "\"deploy\"",
            "\"../deploy\"",
            "3: \"../deploy\" is not a script's name; use 1 to 64 letters, digits, - and _",
        ),
        (
            "[\"ops\", \"deployments\"]",
            "[]",
            "9: script \"deploy\": the list of channels is empty; name channels, or remove the key for every channel",
        ),
        (
            "\"enum\"",
            "\"enumm\"",
            "12: script \"deploy\": argument \"service\": there is no type \"enumm\"; did you mean \"enum\"?",
        ),
        (
            "type = \"enum\"\nvalues = [\"api-server\", \"web-app\", \"database\"]",
            "type = \"string\"\nregex = \"[a-z\"",
            "13: script \"deploy\": argument \"service\": the regex is not valid: unclosed character class; correct it (syntax: docs.rs/regex)",
        ),
        (
            "required = true\n",
            "regex = \"x\"\n",
            "14: script \"deploy\": argument \"service\": regex means nothing for a enum; remove it, or make the type \"string\"",
        ),
        (
            "required = true\n",
            "default = \"api\"\n",
            "14: script \"deploy\": argument \"service\": its default \"api\" is not one of api-server, web-app, database; correct the default or the schema",
        ),
        (
            "required = true\n",
            "required = true\ndefault = \"database\"\n",
            "15: script \"deploy\": argument \"service\": it is required and has a default; remove one of the two",
        ),
        (
            "\"web-app\", ",
            "\"api-server\", ",
            "13: script \"deploy\": argument \"service\": the value \"api-server\" is there twice; keep one of them",
        ),
        (
            "arguments.service]",
            "arguments.\"a b\"]",
            "11: script \"deploy\": argument \"a b\": this cannot be its name; use 1 to 64 letters, digits, - and _",
        ),
        (
            "async = true",
            "profile = \"web\"",
            "8: script \"deploy\": there is no profile \"web\"; define it in bartizan.toml as [profiles.web]",
        ),
        (
            "async = true",
            "sha256 = \"abc\"",
            "8: script \"deploy\": sha256 is not a SHA-256 in hex; write 64 hex digits, as sha256sum prints them",
        ),
        (
            "async = true",
            "required-flags = [\"a b\"]",
            "8: script \"deploy\": \"a b\" is not a flag; use letters, digits, - and _",
        ),
        (
            "\"Deploy app",
            "\"Deploy\\u202e app",
            "5: script \"deploy\": description has the invisible character <U+202E>; remove it, and line breaks too",
        ),
    ] {
        assert_eq!(Place::error_of_list(from, to), format!("config/allowlist.toml:{error}"));
    }
}

#[test]
fn a_missing_script_says_where_it_was_sought() {
    let place = Place::new();
    fs::remove_file(place.path("scripts/deploy.sh")).unwrap();
    let root = place.0.path().display().to_string();
    assert_eq!(
        place.load().map(drop).unwrap_err().to_string(),
        format!(
            "{root}/config/allowlist.toml:4: script \"deploy\": there is no file ./scripts/deploy.sh in {root} or \
             {root}/config; put it there or correct the path"
        )
    );
}

#[test]
fn a_name_that_is_there_twice_is_refused_at_its_second_place() {
    let place = Place::new();
    place.write("config/allowlist.toml", &format!("{LIST}{LIST}"), 0o644);
    let error = place.error();
    assert!(error.starts_with("config/allowlist.toml:22: the script \"deploy\" is there twice; "), "{error}");
}

#[test]
fn a_mistake_in_json_has_its_line_too() {
    for (from, to, error) in [
        ("\"timeout\"", "\"timeuot\"", "8: unknown key \"timeuot\"; did you mean \"timeout\"?"),
        (
            "\"requiredPermission\"",
            "\"requiredPermision\"",
            "7: unknown key \"requiredPermision\"; did you mean \"requiredPermission\"?",
        ),
        (
            "1800000",
            "-5",
            "8: invalid value: integer `-5`, expected a whole number of at least 0, or a text with a unit; docs/configuration.md says what belongs here",
        ),
        (
            "\"required\": true\n},\n\"env",
            "\"required\": true, \"min\": 3\n},\n\"env",
            "13: script \"deploy\": argument \"service\": min means nothing for a enum; remove it, or make the type \"number\"",
        ),
        ("\"environment\"", "\"service\"", "15: \"service\" is given twice; keep one of them"),
        (
            "\"scripts\": [",
            "\"scripts\": ",
            "3: wrong type: a table, expected a list; docs/configuration.md says what belongs here",
        ),
    ] {
        let place = Place::new();
        assert!(SEED.contains(from), "{from}");
        place.write("config/list.json", &SEED.replacen(from, to, 1), 0o644);
        place.write("config/bartizan.toml", &format!("{MAIN}\n[scripts]\nallowlist = \"list.json\"\n"), 0o644);
        assert_eq!(place.error(), format!("config/list.json:{error}"));
    }
}

#[test]
fn unsafe_modes_are_refused_with_the_command_that_mends_them() {
    for (name, mode, error) in [
        (
            "config/bartizan.toml",
            0o664,
            "config/bartizan.toml can be written by its group (mode 0664); chmod go-w config/bartizan.toml",
        ),
        (
            "config/allowlist.toml",
            0o666,
            "config/allowlist.toml can be written by everybody (mode 0666); chmod go-w config/allowlist.toml",
        ),
        (
            "config/token",
            0o640,
            "config/bartizan.toml:7: config/token is a secret and open to others than its owner (mode 0640); chmod 600 config/token",
        ),
        (
            "scripts/deploy.sh",
            0o775,
            "config/allowlist.toml:4: script \"deploy\": scripts/deploy.sh can be written by its group (mode 0775); chmod go-w scripts/deploy.sh",
        ),
        (
            "scripts/deploy.sh",
            0o644,
            "config/allowlist.toml:4: script \"deploy\": scripts/deploy.sh is not executable for the user who runs it (mode 0644); chmod a+rx scripts/deploy.sh",
        ),
    ] {
        let place = Place::new();
        fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
        assert_eq!(place.error(), error);
    }
    let place = Place::new();
    fs::set_permissions(place.path("scripts"), Permissions::from_mode(0o777)).unwrap();
    assert!(place.error().contains("scripts can be written by everybody (mode 0777)"));
}

#[test]
fn no_profile_may_give_a_script_what_belongs_to_bartizan() {
    for grant in [
        "read = [\"token\"]",
        "read = [\".\"]",
        "exec = [\"/\"]",
        "write = [\"../state/run\"]",
        "write = [\"bartizan.toml\"]",
    ] {
        let error = Place::error_of_main("[state]", &format!("[profiles.web]\n{grant}\n[state]"));
        assert!(error.starts_with("config/bartizan.toml:10: profile \"web\": "), "{error}");
        assert!(error.contains("is Bartizan's own; grant a narrower path"), "{error}");
    }
    let place = Place::new();
    place.write("config/bartizan.toml", &format!("{MAIN}[profiles.default]\nwrite = [\"../scripts\"]\n"), 0o644);
    assert!(place.error().contains("where it is itself; grant a narrower path"));
}

#[test]
fn hostile_words_in_a_file_stay_on_their_line() {
    let error = Place::error_of_main("team =", "\"a\\nb\\u001b[2J\" = 1\nteam =");
    assert!(error.contains("<U+000A>") && error.contains("<U+001B>"), "{error}");
}
