//! Reads a Rust file as tokens, so that comments and strings never count, and tells which paths
//! it uses, which macros it calls, which modules it has and what of it is built for tests alone.
//!
//! Paths are written out in full where a `use` of the same file says so: after `use std::env;`
//! the call `env::var("X")` is found as `std::env::var`. Scopes of `use` are not followed, and
//! neither are glob imports, which are found themselves, ending in `*`.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Something in the code of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// From 1.
    pub line: usize,
    pub what: What,
    /// Built for tests alone.
    pub in_test: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A name, or several joined by `::`; keywords count as names.
    Path(Vec<String>),
    /// A macro's call, by the last name of its path.
    Macro(String),
    /// A module, with its code elsewhere or in place.
    Module { name: String, is_inline: bool },
}

/// Reads a file. The error is a line and what is wrong there.
pub(super) fn read(source: &str) -> Result<Vec<Found>, (usize, String)> {
    let stream: TokenStream = source
        .parse()
        .map_err(|error: proc_macro2::LexError| (error.span().start().line, error.to_string()))?;
    let mut reader = Reader::default();
    reader.group(stream, false);
    Ok(reader.resolved())
}

#[derive(Default)]
struct Reader {
    found: Vec<Found>,
    /// Names that `use` brings in, with their full paths; the second map is for tests alone.
    imports: HashMap<String, Vec<String>>,
    test_imports: HashMap<String, Vec<String>>,
}

impl Reader {
    fn group(&mut self, stream: TokenStream, in_test: bool) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut in_test = in_test;
        let mut at = 0;
        while at < tokens.len() {
            if is_punct(tokens.get(at), '#') {
                let is_inner = is_punct(tokens.get(at + 1), '!');
                let place = at + 1 + usize::from(is_inner);
                if let Some(TokenTree::Group(attribute)) = tokens.get(place)
                    && attribute.delimiter() == Delimiter::Bracket
                {
                    let attribute = attribute.stream();
                    self.group(attribute.clone(), in_test);
                    at = place + 1;
                    if is_for_tests(attribute) {
                        if is_inner {
                            in_test = true;
                        } else {
                            let end = item_end(&tokens, at);
                            let item = tokens[at..end].iter().cloned().collect();
                            self.group(item, true);
                            at = end;
                        }
                    }
                    continue;
                }
            }
            at = self.one(&tokens, at, in_test);
        }
    }

    /// Reads what begins at `at` and returns where the next begins.
    fn one(&mut self, tokens: &[TokenTree], at: usize, in_test: bool) -> usize {
        match &tokens[at] {
            TokenTree::Group(group) => {
                self.group(group.stream(), in_test);
                at + 1
            }
            TokenTree::Ident(ident) if ident == "use" && !is_punct(tokens.get(at + 1), '<') => {
                let end = tokens[at..].iter().position(|t| is_punct(Some(t), ';'));
                let end = end.map_or(tokens.len(), |length| at + length);
                self.import(&tokens[at + 1..end], &mut Vec::new(), in_test);
                end
            }
            TokenTree::Ident(ident)
                if ident == "mod" && matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))) =>
            {
                let is_inline = !is_punct(tokens.get(at + 2), ';');
                let what = What::Module {
                    name: name(&tokens[at + 1]),
                    is_inline,
                };
                self.found.push(Found {
                    line: line(&tokens[at]),
                    what,
                    in_test,
                });
                at + 2
            }
            TokenTree::Ident(_) => self.path(tokens, at, in_test),
            TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        }
    }

    fn path(&mut self, tokens: &[TokenTree], at: usize, in_test: bool) -> usize {
        let mut path = vec![name(&tokens[at])];
        let mut next = at + 1;
        while is_separator(tokens, next)
            && let Some(TokenTree::Ident(_)) = tokens.get(next + 2)
        {
            path.push(name(&tokens[next + 2]));
            next += 3;
        }
        let line = line(&tokens[at]);
        let is_call = is_punct(tokens.get(next), '!')
            && matches!(tokens.get(next + 1), Some(TokenTree::Group(_)));
        if is_call && let Some(last) = path.last() {
            self.found.push(Found {
                line,
                what: What::Macro(last.clone()),
                in_test,
            });
        }
        // What follows a dot is a field or a method, what follows `>::` belongs to a type.
        let after_dot = at > 0
            && is_punct(tokens.get(at - 1), '.')
            && !(at > 1 && is_punct(tokens.get(at - 2), '.'));
        let after_type =
            at > 2 && is_separator(tokens, at - 2) && is_punct(tokens.get(at - 3), '>');
        if after_dot || after_type {
            path.insert(0, String::new());
        }
        self.found.push(Found {
            line,
            what: What::Path(path),
            in_test,
        });
        next
    }

    /// Reads the tree of a `use`, without `use` and `;`.
    fn import(&mut self, tokens: &[TokenTree], prefix: &mut Vec<String>, in_test: bool) {
        for branch in tokens.split(|token| is_punct(Some(token), ',')) {
            let depth = prefix.len();
            let mut alias = None;
            let mut is_leaf = false;
            let mut at = 0;
            while let Some(token) = branch.get(at) {
                match token {
                    TokenTree::Ident(ident) if ident == "as" => {
                        alias = branch.get(at + 1).map(name);
                        at += 1;
                    }
                    TokenTree::Ident(ident) if ident == "self" && !prefix.is_empty() => {
                        is_leaf = true
                    }
                    TokenTree::Ident(_) => {
                        prefix.push(name(token));
                        is_leaf = true;
                    }
                    TokenTree::Punct(punct) if punct.as_char() == '*' => {
                        prefix.push("*".to_owned());
                        is_leaf = true;
                    }
                    TokenTree::Group(group) => {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.import(&inner, prefix, in_test);
                        is_leaf = false;
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
                at += 1;
            }
            if is_leaf && let (Some(first), Some(last)) = (branch.first(), prefix.last()) {
                let imports = if in_test {
                    &mut self.test_imports
                } else {
                    &mut self.imports
                };
                imports.insert(alias.unwrap_or_else(|| last.clone()), prefix.clone());
                let what = What::Path(prefix.clone());
                self.found.push(Found {
                    line: line(first),
                    what,
                    in_test,
                });
            }
            prefix.truncate(depth);
        }
    }

    /// What was found, with paths written out in full.
    fn resolved(self) -> Vec<Found> {
        let Self {
            mut found,
            imports,
            test_imports,
        } = self;
        for one in &mut found {
            let What::Path(path) = &mut one.what else {
                continue;
            };
            // A `use` of a name that another `use` brings in; the bound ends a cycle.
            for _ in 0..3 {
                let full = path.first().and_then(|first| {
                    let for_test = test_imports.get(first).filter(|_| one.in_test);
                    for_test.or_else(|| imports.get(first))
                });
                match full {
                    Some(full) if full.first() != path.first() => {
                        path.splice(0..1, full.iter().cloned());
                    }
                    Some(full) if full.len() > 1 && !path.starts_with(full) => {
                        path.splice(0..1, full.iter().cloned());
                        break;
                    }
                    _ => break,
                }
            }
        }
        found
    }
}

/// Where the item, field, variant or statement that begins at `start` ends.
fn item_end(tokens: &[TokenTree], start: usize) -> usize {
    let mut at = start;
    // Further attributes and `pub(...)` come first.
    loop {
        if is_punct(tokens.get(at), '#') {
            at += 2;
        } else if matches!(tokens.get(at), Some(TokenTree::Ident(i)) if i == "pub") {
            at += 1;
            if matches!(tokens.get(at), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis)
            {
                at += 1;
            }
        } else {
            break;
        }
    }
    let is_item = matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if matches!(
        ident.to_string().as_str(),
        "async" | "const" | "enum" | "extern" | "fn" | "impl" | "let" | "macro_rules" | "mod"
            | "static" | "struct" | "trait" | "type" | "union" | "unsafe" | "use"
    ));
    while let Some(token) = tokens.get(at) {
        at += 1;
        let ends = match token {
            TokenTree::Punct(punct) => {
                punct.as_char() == ';' || (punct.as_char() == ',' && !is_item)
            }
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        };
        if ends {
            break;
        }
    }
    at.min(tokens.len())
}

/// Whether an attribute keeps its item out of every build but tests: `test`, `tokio::test`,
/// `cfg(test)`, `cfg(all(test, ...))`.
fn is_for_tests(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(cfg), TokenTree::Group(condition)] if cfg == "cfg" => {
            needs_test(condition.stream())
        }
        [.., TokenTree::Ident(last)] => {
            let is_path = tokens
                .iter()
                .all(|t| matches!(t, TokenTree::Ident(_)) || is_punct(Some(t), ':'));
            is_path && (last == "test" || last == "bench")
        }
        _ => false,
    }
}

fn needs_test(condition: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(only)] => only == "test",
        [TokenTree::Ident(all), TokenTree::Group(parts)] if all == "all" => {
            let parts: Vec<TokenTree> = parts.stream().into_iter().collect();
            let mut parts = parts.split(|t| is_punct(Some(t), ','));
            parts.any(|part| needs_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Whether `::` begins at `at`.
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

fn name(token: &TokenTree) -> String {
    let text = token.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<(usize, String, bool)> {
        let found = read(source).unwrap().into_iter();
        found
            .filter_map(|f| match f.what {
                What::Path(path) if path.len() > 1 => Some((f.line, path.join("::"), f.in_test)),
                _ => None,
            })
            .collect()
    }

    fn has(source: &str, path: &str) -> bool {
        paths(source).iter().any(|(_, p, _)| p == path)
    }

    #[test]
    fn imports_are_written_out() {
        assert!(has(
            "use std::env;\nfn f() { env::var(\"X\"); }",
            "std::env::var"
        ));
        assert!(has(
            "use std::{env as e, fs};\nfn f() { e::args(); }",
            "std::env::args"
        ));
        assert!(has(
            "use std::process::{self, Command};\nfn f() { process::exit(1) }",
            "std::process::exit"
        ));
        assert!(has("fn f() { ::std::env::vars(); }", "std::env::vars"));
        assert!(has("use a::b::*;", "a::b::*"));
        assert!(has(
            "use a::b;\nuse b::c;\nfn f() { c::d(); }",
            "a::b::c::d"
        ));
    }

    #[test]
    fn imports_of_the_same_name_end() {
        assert!(has("use env::env;\nfn f() { env::x(); }", "env::env::x"));
        assert!(!paths("use b::a;\nuse a::b;").is_empty());
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        let source = "// std::env::var\n/* std::env::var */\n/// std::env::var\nfn f() { let _ = \"std::env::var\"; let _ = r#\"std::env::var\"#; }";
        assert_eq!(paths(source), []);
    }

    #[test]
    fn fields_and_methods_are_no_imports() {
        let found = paths("use std::env;\nfn f(x: X) { x.env::<u8>(); <X as Y>::env::z(); }");
        let names: Vec<_> = found.iter().map(|f| f.1.as_str()).collect();
        assert_eq!(names, ["std::env", "::env", "::env::z"]);
    }

    #[test]
    fn lines_are_right() {
        let found = paths("fn a() {}\n\nfn b() {\n    x::y();\n}\n");
        assert_eq!(found, [(4, "x::y".to_owned(), false)]);
    }

    #[test]
    fn code_for_tests_is_marked_and_nothing_more() {
        let source = "
            #[cfg(test)] mod tests { fn f() { a::one(); } }
            #[cfg(all(test, feature = \"x\"))] #[allow(y)] pub(crate) fn g<T, U>() { a::two(); }
            #[test] fn h() { a::three(); }
            struct S { #[cfg(test)] x: a::four, y: b::one }
            #[cfg(test)] use a::five;
            #[cfg(not(test))] fn i() { b::two(); }
            #[cfg(any(test, feature = \"x\"))] fn j() { b::three(); }
            fn k() { b::four(); }
        ";
        let found = paths(source);
        assert_eq!(found.len(), 9);
        for (_, path, in_test) in found {
            assert_eq!(in_test, path.starts_with("a::"), "{path}");
        }
        assert!(
            paths("#![cfg(test)]\nfn f() { a::b(); }")
                .iter()
                .all(|p| p.2)
        );
    }

    #[test]
    fn macros_are_found_by_their_last_name() {
        let found = read("fn f() { std::println!(\"x\"); vec![dbg!(1)]; if a != (b) {} }").unwrap();
        let macros: Vec<_> = found
            .iter()
            .filter_map(|f| {
                if let What::Macro(name) = &f.what {
                    Some(name.as_str())
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(macros, ["println", "vec", "dbg"]);
    }

    #[test]
    fn modules_are_found() {
        let found = read("mod a;\n#[cfg(test)]\nmod b;\nmod c { }").unwrap();
        let modules: Vec<_> = found
            .into_iter()
            .filter_map(|f| match f.what {
                What::Module { name, is_inline } => Some((name, is_inline, f.in_test)),
                _ => None,
            })
            .collect();
        let module = |name: &str, is_inline, in_test| (name.to_owned(), is_inline, in_test);
        assert_eq!(
            modules,
            [
                module("a", false, false),
                module("b", false, true),
                module("c", true, false)
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_rust_is_an_error_with_its_line() {
        assert!(read("fn f() {\n").unwrap_err().0 > 0);
    }
}
