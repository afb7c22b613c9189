# Cargo and rustc.
cargo='cargo --version'
crate() { fresh; mkdir src; printf '[package]\nname = "svc"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n' >Cargo.toml; }
crate; printf 'fn main() {\n    let n: i32 = "one";\n    println!("{}", total);\n}\n' >src/main.rs
record cargo-compile cargo "$cargo" <<<'cargo build'
crate; { printf 'fn main() {\n'; for i in $(seq 100); do printf '    println!("{}", total_%d);\n' "$i"; done; printf '}\n'; } >src/main.rs
record cargo-compile-cascade cargo "$cargo" <<<'cargo build'
crate; printf 'serde_jsonn_nope = "1"\n' >>Cargo.toml; printf 'fn main() {}\n' >src/main.rs
record cargo-unknown-crate cargo "$cargo" <<<'cargo build'
crate; printf 'cfg-if = "99"\n' >>Cargo.toml; printf 'fn main() {}\n' >src/main.rs
record cargo-unknown-version cargo "$cargo" <<<'cargo build'
crate; printf 'fn main() {}\n' >src/main.rs; cargo generate-lockfile >/dev/null 2>&1; printf 'cfg-if = "1"\n' >>Cargo.toml
record cargo-locked cargo "$cargo" <<<'cargo build --locked'
crate; printf 'pub fn gross(net: f64) -> f64 {\n    net * 1.2\n}\n\n#[test]\nfn adds_tax() {\n    assert_eq!(gross(100.0), 119.0);\n}\n\n#[test]\nfn error_is_reported() {}\n' >src/lib.rs
record cargo-test cargo "$cargo" <<<'cargo test'
crate; printf '#[link(name = "fastsum")]\nextern "C" {\n    fn fastsum() -> i32;\n}\n\nfn main() {\n    unsafe { println!("{}", fastsum()) }\n}\n' >src/main.rs
record cargo-link cargo "$cargo" <<<'cargo build'
