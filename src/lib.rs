//! git-lake keeps large binary data next to git history: git stores small pointers, the content lives
//! in *data lakes*: shared folders and buckets. It is a
//! clean/smudge filter driver, so git's own commands do the work; there is no server.
//!
//! This page is the way into the code. What is written to disk and spoken to git is specified in
//! `docs/`, and why things are as they are in `docs/decisions/`.
//!
//! # Words
//!
//! An *object* is bytes, named by its *oid*, their SHA-256. A *pointer* is the text that git stores in
//! its place. A *lake* holds objects under names; a *remote* is a lake as the settings name it; a
//! *source* is the full address of one object. The *store* is what this clone holds by itself. An
//! upload is *owed* until a *receipt* proves that the lake has the object. To *materialize* is to make
//! an object a file of the work tree.
//!
//! # Levels
//!
//! A module uses lower levels and its own children, nothing else.
//!
//! Values, and what every file access goes through:
//! - [`access`]: how a server may be talked to, and with which keys.
//! - [`oid`]: the identity of an object.
//! - [`digest`]: hashing bytes as they pass, for SHA-256 and the hashes that lakes declare.
//! - [`object_name`]: `<digest><extension>`, the name of an object in a lake.
//! - [`lake_url`]: addresses of lakes and of objects in them, in one normal form.
//! - [`repo_path`]: a path inside a repository: any bytes, never outside.
//! - [`mod@pointer`]: reading, writing and merging pointers.
//! - [`kind`]: what kind of file content is, by its first bytes.
//! - [`underfolder`]: what file names mean in a dataset, and which samples a slice means.
//! - [`fs`]: staging, syncing, renaming, locking; writing beneath a folder without following links.
//! - [`parallel`]: the same work for many things, on several threads.
//! - [`size`]: sizes for people.
//! - [`fail_point`]: where tests can stop the process.
//!
//! One outside thing each:
//! - [`config`]: `.gitlake.toml` and git's configuration, resolved; which remotes a path goes to, and
//!   which keys a server may have.
//! - [`lake`]: the traits of a lake, and lakes in folders and in buckets.
//! - [`repo`]: git: its index, objects, attributes, history, settings, hooks, and its program.
//! - [`store`]: local objects, claims of uploads, receipts.
//!
//! Engines:
//! - [`transfer`]: many objects between the store and lakes, some of which fail.
//! - [`workspace`]: one open clone, with all of the above.
//! - [`regain`]: objects that the store has lost, taken in again from the work tree.
//! - [`owed`]: what this clone owes to its lakes, and making it good.
//! - [`proof`]: whether lakes hold everything that a push would send pointers of.
//! - [`copies`]: which lakes hold objects now, surely enough to give up a copy.
//! - [`fill`]: content in the place of pointers, without git.
//! - [`content`]: the verified content that a blob stands for.
//! - [`sources`]: which lakes pointers name, chosen and changed for many items at once.
//! - [`space`]: what may leave the store and the work tree.
//! - [`inventory`]: what items there are, how each stands here, and what is only here.
//! - [`dataset`]: datasets in folders, without git: which lakes have their items, and bringing them back.
//! - [`diff`]: which items differ between two states, and how.
//! - [`orphans`]: objects of a lake that nothing known refers to.
//! - [`mod@fsck`]: whether the store, git's pointers and lakes are what they should be.
//! - [`doctor`]: what is right and what is wrong with a clone, and mending what is safe to mend.
//! - [`import`]: datasets that become tracked pointers of a work tree.
//! - [`add`]: what `git add` does for lake files, many times faster.
//! - [`filter`]: the conversation with git, and what happens when git ends it.
//!
//! What a person types and sees:
//! - [`commands`]: one verb, one file; the order of steps.
//! - [`ui`]: the only module that prints.
//! - [`cli`]: the command line, exit codes and hints.
//!
//! # Files on disk, and who owns them
//!
//! | where | what | owner |
//! |---|---|---|
//! | git's object database | pointers | git; read by [`repo`], written by [`repo::new_blobs`] |
//! | `<git common dir>/lake/v1/` | objects, those half there, claims, receipts, files to fill, notes on servers, health of lakes | [`store`] |
//! | `<git common dir>/lake/v1/accepted` | remotes that may be written to | [`config::accepted`] |
//! | `.gitlake.toml` | remotes | [`config::file`] |
//! | `.gitattributes` | which paths are tracked | [`commands::track`] |
//! | git's configuration | the filter, the merge driver, trusted servers | [`commands::install`], [`commands::trust`], through [`repo::gitconfig`] |
//! | `<git common dir>/hooks/` | three short scripts | [`repo::hooks`] |
//! | git's index | stat data, before and after filling; other pointers for entries | [`repo::index_stat`] |
//! | `<lake>/<object name>`, `.pl/tags.json` | shared objects, the lake's declaration | [`lake::folder`] |
//!
//! # The two journeys
//!
//! *Content becomes a pointer* (`git add`): [`filter::pktline`] → [`filter::protocol`] →
//! [`filter::session`] → [`filter::clean`] → [`store::stage`], where it is hashed while it is written
//! → a claim in [`store::queue`] → the pointer goes to git. When git closes the pipe,
//! [`filter::finish`] syncs everything in one batch, asks [`owed`] what the index came to use, and lets
//! [`transfer::upload`] send it; [`store::receipts`] keeps the proofs.
//!
//! *A pointer becomes content* (`git clone`, `git switch`): [`filter::session`] → [`filter::smudge`].
//! What the store has is verified and given. Large files are left as pointers and filled when git
//! closes the pipe ([`fill`]). What the store lacks is delayed, fetched by
//! [`transfer::download`] from the first source that works, verified, stored, and given when git asks
//! again. If no source has it, git gets the pointer, and `git lake pull` ([`fill`]) tries later.
//!
//! # Where to begin reading
//!
//! [`mod@pointer`] for the format, [`filter::session`] for what git does with it, [`store`] for what must
//! never be lost, [`lake`] for the traits that a new kind of lake implements and [`lake::contract`] for
//! the suite that it has to pass. [`commands::demo`] shows it all at work.

pub mod access;
pub mod add;
pub mod cli;
pub mod commands;
pub mod config;
pub mod content;
pub mod copies;
pub mod dataset;
pub mod diff;
pub mod digest;
pub mod doctor;
pub mod fail_point;
pub mod fill;
pub mod filter;
pub mod fs;
pub mod fsck;
pub mod import;
pub mod inventory;
pub mod kind;
pub mod lake;
pub mod lake_url;
pub mod object_name;
pub mod oid;
pub mod orphans;
pub mod owed;
pub mod parallel;
pub mod pointer;
pub mod proof;
pub mod regain;
pub mod repo;
pub mod repo_path;
pub mod size;
pub mod sources;
pub mod space;
pub mod store;
pub mod transfer;
pub mod ui;
pub mod underfolder;
pub mod workspace;
