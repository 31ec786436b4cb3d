//! The pages of the repository: what their links lead to is there, and the map in ARCHITECTURE.md names each folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// All files and folders under `folder`, but for what is built or hidden.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        found.push(path.clone());
        if path.is_dir() {
            walk(&path, found);
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// What the links of a line lead to; a link in code marks is none.
fn links(line: &str) -> Vec<&str> {
    let mut rest = line;
    let mut found = Vec::new();
    while let Some((_, behind)) = rest.split_once("](") {
        let Some((target, after)) = behind.split_once(')') else { break };
        found.push(target);
        rest = after;
    }
    found
}

/// The name by which a heading is linked to: small letters, digits, `_` and `-`, with `-` for blanks.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |c: char| c.is_alphanumeric() || " -_".contains(c);
    text.chars().filter(|c| kept(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    prose(&text).filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in prose(&text).flat_map(links) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, name) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = to.exists() && (name.is_empty() || to.is_dir() || anchors(&to).contains(name));
            if !there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 80, "only {checked} links were found");
}

/// Names of files in code marks, such as `receive/play.rs`: some file's path ends so. Capitals stand for names that one chooses.
#[test]
fn every_file_that_is_named_is_there() {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let (mut gone, mut checked) = (Vec::new(), 0);
    for page in pages() {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        // What was is told there, and what a reader is to write here.
        if ["CHANGELOG.md", "getting-started.md"].contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for file in prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let is_name =
                file.ends_with(".rs") && file.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
            if !is_name || file.chars().any(|c| c.is_ascii_uppercase()) {
                continue;
            }
            checked += 1;
            if !files.iter().any(|path| path.ends_with(file)) {
                gone.push(format!("{}: {file}", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
    assert!(checked > 80, "only {checked} names were found");
}

/// In the blocks of ARCHITECTURE.md a line of the map begins with two blanks and a folder; the crate is that of the line before
/// without blanks.
#[test]
fn the_map_names_each_folder_and_no_other() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut named = BTreeSet::new();
    let mut krate = None;
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or("");
        match line.len() - line.trim_start().len() {
            0 => krate = first.ends_with("/src").then_some(first),
            2 if first.ends_with('/') => named.extend(krate.map(|krate| format!("{krate}/{first}"))),
            _ => {}
        }
    }
    let mut there = BTreeSet::new();
    for krate in ["dsp-core/src", "host-std/src", "host-embedded/src"] {
        let mut found = Vec::new();
        walk(&root().join(krate), &mut found);
        for folder in found.iter().filter(|path| path.is_dir()) {
            let folder = folder.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            there.insert(format!("{folder}/"));
        }
    }
    let missing: Vec<_> = there.difference(&named).collect();
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not on the map: {missing:#?}; not there: {gone:#?}");
}

#[test]
fn a_first_screen_stays_one() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 200, "README.md has {} lines", readme.lines().count());
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let long: Vec<_> = [&readme, &architecture].into_iter().flat_map(|text| text.lines()).collect();
    let long: Vec<_> = long.into_iter().filter(|line| line.chars().count() > 120).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn each_example_is_in_the_index() {
    let index = fs::read_to_string(root().join("examples/README.md")).unwrap();
    for entry in fs::read_dir(root().join("examples/examples")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(index.contains(&format!("(examples/{name})")), "{name} is not in examples/README.md");
    }
}
