# What a change has to pass; .ci/run does the same.
check: fmt clippy test doc

fmt:
    cargo fmt --check

clippy:
    cargo clippy --all-targets -- -D warnings

test:
    tests/s3/seaweedfs.sh cargo test

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Licences, advisories and sources of dependencies; needs cargo-deny.
deny:
    cargo deny check

# A Debian package in target/packages, tried out; needs cargo-deb.
deb:
    .ci/packages deb

# A wheel for pip in target/packages, tried out; needs maturin.
wheel:
    .ci/packages wheel
