//! The back ends of documentation: nothing is left out, and every link leads somewhere.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use xenidl::backend::docs::{Html, Markdown};
use xenidl::model::{DeclKind, Ty};
use xenidl::{Backend, Model, Source, compile};

fn models() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| Source::new(name, fs::read_to_string(folder.join(name)).unwrap());
    let unit = |names: &[&str]| compile(&names.iter().map(|n| read(n)).collect::<Vec<_>>()).unwrap();
    let contract = ["base", "operation", "plan", "record", "request"].map(|n| format!("schema/{n}.idl"));
    vec![
        unit(&["tests/ui/everything.idl"]),
        unit(&["tests/ui/libxl_everything.idl"]),
        unit(&contract.each_ref().map(String::as_str)),
    ]
}

fn page(backend: &dyn Backend, model: &Model, ending: &str) -> String {
    let files = backend.generate(model).unwrap();
    files.iter().find(|(name, _)| name.ends_with(ending)).unwrap().1.to_owned()
}

/// What stands between two texts, wherever it does.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    text.split(from).skip(1).filter_map(|rest| rest.split_once(to)).map(|(part, _)| part).collect()
}

#[test]
fn every_link_leads_to_a_section() {
    for model in models() {
        let html = page(&Html, &model, ".html");
        let ids: Vec<&str> = between(&html, "<section id=\"", "\"");
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!((ids.len(), known.len()), (model.decls.len(), model.decls.len()));
        for link in between(&html, "href=\"#", "\"") {
            assert!(known.contains(link), "{link}");
        }
        let markdown = page(&Markdown, &model, ".md");
        for link in between(&markdown, "](#", ")") {
            assert!(markdown.contains(&format!("\n### {link}\n")), "{link}");
        }
    }
}

#[test]
fn every_field_value_and_comment_is_there() {
    for model in models() {
        let (html, markdown) = (page(&Html, &model, ".html"), page(&Markdown, &model, ".md"));
        for decl in &model.decls {
            let from_md = markdown.split_once(&format!("\n### {}\n", decl.raw_name())).unwrap().1;
            let section_md = from_md.split("\n### ").next().unwrap();
            let from_html = html.split_once(&format!("<section id=\"{}\"", decl.raw_name())).unwrap().1;
            let section_html = from_html.split("</section>").next().unwrap();
            let mut names: Vec<String> = Vec::new();
            let mut docs = vec![&decl.doc];
            match &decl.kind {
                DeclKind::Struct(s) => {
                    for field in &s.fields {
                        docs.push(&field.doc);
                        docs.extend(&field.deprecated);
                        match &field.ty {
                            Ty::Union(u) => {
                                names.extend(u.arms.iter().map(|a| format!("{}.{}", u.keyvar, a.name)))
                            }
                            _ => names.push(field.name.clone()),
                        }
                    }
                    if let Some(b) = &s.xenstore {
                        assert!(section_md.contains(&format!("= STRING [{}]", b.access)));
                    }
                }
                DeclKind::Enum(e) => {
                    names.extend(e.values.iter().map(|v| v.name.clone()));
                    docs.extend(e.values.iter().map(|v| &v.doc));
                }
                DeclKind::Text(_) => {}
            }
            for name in names {
                assert!(section_md.contains(&format!("| `{name}` |")), "{}.{name}", decl.name);
                assert!(
                    section_html.contains(&format!("<td><code>{name}</code></td>")),
                    "{}.{name}",
                    decl.name
                );
            }
            for word in docs.iter().flat_map(|d| d.split(|c: char| !c.is_alphanumeric())) {
                assert!(section_md.contains(word) && section_html.contains(word), "{}: {word}", decl.name);
            }
        }
    }
}

/// No text of a comment becomes a tag: what is opened is closed, in order.
#[test]
fn html_is_well_formed() {
    let evil = "profile(\"contract\")\n# </main> <b>x & \"y\"</b> `a|b` | *c* <script>.\na = Struct(\"a\", [\n# `<i>` | x.\n(\"b\", bool)])\n";
    let model = compile(&[Source::new("evil", evil)]).unwrap();
    for model in models().iter().chain([&model]) {
        let html = page(&Html, model, ".html");
        assert!(!html.contains("<script") && !html.contains("<b>"));
        let mut open: Vec<&str> = Vec::new();
        for tag in between(&html, "<", ">") {
            let name = tag.split([' ', '\n']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "in {tag}"),
                None if name.starts_with('!') || matches!(name, "meta") => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
    let markdown = page(&Markdown, &model, ".md");
    let row = markdown.lines().find(|l| l.contains("`b`")).unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
}
