# Each recipe is one line that works as well when typed by hand.

# what there is
default:
    @just --list

# the fastest answer to "does it compile"
check:
    cargo check --workspace --all-targets

# everything, as CI runs it: units, properties, the acceptance suite against the lab
test:
    cargo test --workspace

# the acceptance suite alone
accept:
    cargo test --package acceptance

# formatting and clippy, warnings being errors
lint:
    cargo fmt --all --check
    cargo lint

# lint, render and compare the charts; helm from $HELM or the PATH
charts:
    tenant-charts/.ci/check

# advisories, licences, second copies (cargo install cargo-deny)
deny:
    cargo deny check

# from nothing to a tenant
demo:
    cargo lab demo

# the image with both programs
image tag="localhost/tenant:dev":
    buildah build --tag {{ tag }} .

# the tables of the README that are made from the code
readme:
    TENANT_README=write cargo test --package acceptance readme
