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

# Throws bytes at what git-lake reads: see tests/fuzz/README.md; needs cargo-fuzz.
fuzz TARGET RUNS="10000000":
    mkdir -p tests/fuzz/target/corpus/{{TARGET}} tests/fuzz/target/artifacts/{{TARGET}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none {{TARGET}} \
        tests/fuzz/target/corpus/{{TARGET}} tests/corpora/{{TARGET}} -- -runs={{RUNS}} -max_len=1500 \
        -artifact_prefix=tests/fuzz/target/artifacts/{{TARGET}}/
