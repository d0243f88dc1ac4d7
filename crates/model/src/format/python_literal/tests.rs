//! Expected texts are what CPython 3.11's `repr` and `ast.literal_eval` give.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn s(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn read(text: &str) -> Value {
    Value::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn cause(text: &str) -> BadLiteralCause {
    Value::parse(text).unwrap_err().cause
}

#[test]
fn strings_are_quoted_as_repr_quotes_them() {
    let pairs = [
        ("plain", r"'plain'"),
        ("it's", r#""it's""#),
        ("say \"x\"", r#"'say "x"'"#),
        ("it's \"x\"", r#"'it\'s "x"'"#),
        ("a\nb\tc\rd\\e", r"'a\nb\tc\rd\\e'"),
        ("\0\x1b\x7f", r"'\x00\x1b\x7f'"),
        ("größe ☃ 😀", "'größe ☃ 😀'"),
        ("\u{80}\u{a0}\u{ad}", r"'\x80\xa0\xad'"),
        ("\u{2028}\u{200b}\u{e000}", r"'\u2028\u200b\ue000'"),
        ("\u{e0001}", r"'\U000e0001'"),
        ("e\u{301}\u{301}", "'e\u{301}\u{301}'"),
        ("\u{301}", "'\u{301}'"),
        ("", "''"),
    ];
    for (text, literal) in pairs {
        assert_eq!(s(text).render(), literal);
        assert_eq!(read(literal), s(text));
    }
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    let pairs = [
        (1.25684, "1.25684"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (2.0, "2.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1.5e-7, "1.5e-07"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.234e100, "1.234e+100"),
        (1795248642.7839715, "1795248642.7839715"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
    ];
    for (number, literal) in pairs {
        assert_eq!(Value::Float(number).render(), literal);
        assert_eq!(read(literal), Value::Float(number));
    }
    assert_eq!(Value::Float(f64::NAN).render(), "None");
}

#[test]
fn collections_are_laid_out_as_repr_does() {
    let pairs = [
        (Value::List(vec![]), "[]"),
        (Value::Tuple(vec![]), "()"),
        (Value::Dict(vec![]), "{}"),
        (Value::Tuple(vec![Value::Int(1)]), "(1,)"),
        (
            Value::List(vec![Value::Tuple(vec![
                s("ts1"),
                Value::Int(16384),
                s("/srv/tbs1"),
            ])]),
            "[('ts1', 16384, '/srv/tbs1')]",
        ),
        (
            Value::Dict(vec![
                (s("b"), Value::None),
                (s("a"), Value::Bool(true)),
                (Value::Int(-1), Value::Bool(false)),
            ]),
            "{'b': None, 'a': True, -1: False}",
        ),
    ];
    for (value, literal) in pairs {
        assert_eq!(value.render(), literal);
        assert_eq!(read(literal), value);
    }
}

#[test]
fn what_people_write_by_hand_is_read() {
    let pairs = [
        (r#" { "a" : [ 1 , 2 , ] , } "#, "{'a': [1, 2]}"),
        ("(1)", "1"),
        ("((1, 2,),)", "((1, 2),)"),
        ("u'x'", "'x'"),
        (
            r"'\a\b\f\v\101\x41\u0041\U00000041\q'",
            r"'\x07\x08\x0c\x0bAAAA\\q'",
        ),
        ("'a\\\nb'", "'ab'"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("1E3", "1000.0"),
    ];
    for (text, canonical) in pairs {
        assert_eq!(read(text).render(), canonical);
    }
}

#[test]
fn what_is_no_literal_is_refused_with_its_place() {
    use BadLiteralCause::*;
    let texts = [
        ("", NoValue),
        ("null", NoValue),
        ("true", NoValue),
        ("Nonesuch", NoValue),
        ("START WAL", NoValue),
        ("[1 2]", NotClosed),
        ("[1, 2", NotClosed),
        ("[,]", NoValue),
        ("{'a': 1 'b': 2}", NotClosed),
        ("{'a'}", NoColon),
        ("{1, 2}", NoColon),
        ("'open", OpenString),
        ("'line\nbreak'", OpenString),
        (r"'\x4'", BadEscape),
        (r"'\ud800'", BadEscape),
        (r"'\N{SNOWMAN}'", BadEscape),
        (r"'\x+1'", BadEscape),
        ("1.2.3", BadNumber),
        ("99999999999999999999", BadNumber),
        ("1e999", BadNumber),
        ("-", BadNumber),
        ("1 2", Trailing),
        ("0x10", Trailing),
        ("'a' 'b'", Trailing),
    ];
    for (text, expected) in texts {
        assert_eq!(cause(text), expected, "{text}");
    }
    let error = Value::parse("{'ä': nul}").unwrap_err();
    assert_eq!(error.to_string(), "no Python value at character 7");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Value::parse(&nested(60)).is_ok());
    assert_eq!(cause(&nested(100)), BadLiteralCause::TooDeep);
    assert_eq!(cause(&"[".repeat(1_000_000)), BadLiteralCause::TooDeep);
}

#[test]
fn json_is_what_pythons_json_module_makes_of_it() {
    // barman-cloud-backup-list 3.20.1 printed the right side for copy_stats on the left.
    let value = read("{'a': 1e-05, 'b': None, 'c': True, 1: 2, 'd': (1,), 'e': {}}");
    assert_eq!(
        value.to_json(),
        json!({"a": 1e-5, "b": null, "c": true, "1": 2, "d": [1], "e": {}})
    );
}

#[test]
fn a_dictionary_is_asked_by_key() {
    let value = read("{'provider': 'aws', 1: 2}");
    assert_eq!(value.get("provider"), Some(&s("aws")));
    assert_eq!(value.get("1"), None);
    assert_eq!(Value::None.get("provider"), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::Float),
        any::<String>().prop_map(Value::Str),
        "[a'\"\\\\\n]{0,8}".prop_map(Value::Str),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Tuple),
            proptest::collection::vec((inner.clone(), inner), 0..5).prop_map(Value::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_being_written_and_read(value in any_value()) {
        let text = value.render();
        prop_assert!(!text.contains('\n'), "one line in backup.info");
        prop_assert_eq!(read(&text), value);
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Value::parse(&text);
    }

    #[test]
    fn text_that_looks_like_a_literal_never_panics(
        text in "[\\[\\](){}:,'\"\\\\0-9a-fxuUNone .+\n-]{0,40}",
    ) {
        let _ = Value::parse(&text);
    }
}
