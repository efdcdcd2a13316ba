//! Carrying out a plan: some items at a time, so that memory and temporary files stay small.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::copy::Serialization;
use super::output::{Change, Output};
use super::plan::{Plan, Step};
use super::remote_file::RemoteFile;
use super::site::Site;
use super::supply::{self, Target, Trouble};
use super::{Dataset, Error, Item, State};
use crate::fs::{IoContext as _, PathError};
use crate::lake_url::SourceUrl;
use crate::transfer::report::{Activity, with_causes};
use crate::transfer::to_file::WantedFile;

/// Items that are worked on together, and of them those whose content is relayed through temporary files.
const AT_ONCE: usize = 2048;
const RELAYED_AT_ONCE: usize = 32;

/// What a plan is carried out with.
pub struct Work<'a> {
    /// Lakes and servers.
    pub site: &'a Site,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Where content is sent.
    pub targets: &'a [Target],
    /// How files come into a new folder.
    pub serialization: Serialization,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Summary {
    /// Objects that were sent.
    pub sent: usize,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Objects that were in their lakes already.
    pub already: usize,
    /// Items that came back from lakes.
    pub restored: usize,
    /// Their bytes.
    pub restored_bytes: u64,
    /// `.remote` files that are new or changed.
    pub pointed: usize,
    /// Items that could not be done, by their path in the dataset, and why. They are as they were.
    pub failures: Vec<(Vec<u8>, String)>,
    /// Bytes were met that are not what their name says.
    pub met_damage: bool,
}

/// What an item becomes.
enum Outcome {
    Keep,
    Remote(RemoteFile),
    /// A file that is there, in the input or where it was staged.
    File,
}

impl Work<'_> {
    /// Carries out a plan; without `output`, content is only sent. A new output has to be finished.
    ///
    /// Returns early when somebody asks to stop.
    ///
    /// # Errors
    /// If the output cannot be written, or a file of the input cannot be taken over.
    pub fn carry_out(&self, plan: &Plan, output: Option<&mut Output>) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        self.announce(plan);
        let result = self.all(plan, output, &mut summary);
        self.site.reporter.end();
        self.site.transfer.tell_damage();
        result.map(|()| summary)
    }

    /// Says how much there is to do; how large objects in lakes are shows when they come.
    fn announce(&self, plan: &Plan) {
        let targets = self.targets.len() as u64;
        let (mut objects, mut bytes, mut of_any_size) = (0, 0, 0);
        for (item, step) in self.dataset.items.iter().zip(&plan.0) {
            match (step, &item.state) {
                (Step::Send, State::File(stamp) | State::Both(stamp, _)) => {
                    (objects, bytes) = (objects + targets, bytes + stamp.size() * targets);
                }
                (Step::Send, _) if item.is_away() => of_any_size += 1 + targets,
                (Step::Restore, _) if item.is_away() => of_any_size += 1,
                _ => {}
            }
        }
        let activity = if objects > 0 { Activity::Uploading } else { Activity::Downloading };
        if objects > 0 {
            self.site.reporter.expect(activity, objects, bytes);
        }
        if of_any_size > 0 {
            self.site.reporter.expect_unsized(activity, of_any_size);
        }
    }

    fn all(
        &self,
        plan: &Plan,
        mut output: Option<&mut Output>,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let items: Vec<(usize, &Item, &Step)> = (0..)
            .zip(&self.dataset.items)
            .zip(&plan.0)
            .map(|((at, item), step)| (at, item, step))
            .filter(|(_, item, step)| {
                let is_fresh = output.as_ref().is_some_and(|output| !output.is_in_place());
                is_fresh || **step != Step::Keep || matches!(item.state, State::Ambiguous(_))
            })
            .collect();
        for some in portions(&items) {
            if self.site.is_cancelled() {
                return Ok(());
            }
            let outcomes = self.decide(some, output.as_deref_mut(), summary)?;
            if self.site.is_cancelled() {
                return Ok(());
            }
            match output.as_deref_mut() {
                Some(output) if output.is_in_place() => {
                    self.change(some, outcomes, output, summary)?;
                }
                Some(output) => self.write(some, outcomes, output, summary)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Does what can fail for an item, and says what each becomes.
    fn decide(
        &self,
        some: &[(usize, &Item, &Step)],
        output: Option<&mut Output>,
        summary: &mut Summary,
    ) -> Result<Vec<Outcome>, Error> {
        let mut outcomes: Vec<Result<Outcome, Trouble>> = some
            .iter()
            .map(|(_, item, step)| match (step, &item.state) {
                (Step::Refuse(why), _) => Err(Trouble::new(why.to_string())),
                (Step::Point(remote), _) => Ok(Outcome::Remote(remote.clone())),
                (Step::Restore, State::Both(..)) => Ok(Outcome::File),
                _ => Ok(Outcome::Keep),
            })
            .collect();
        let is_sent = |step: &Step| *step == Step::Send;
        let sending: Vec<usize> = (0..some.len()).filter(|at| is_sent(some[*at].2)).collect();
        if !sending.is_empty() {
            let items: Vec<&Item> = sending.iter().map(|at| some[*at].1).collect();
            let sent = supply::send(self.site, self.dataset, &items, self.targets)?;
            summary.sent += sent.objects;
            summary.sent_bytes += sent.bytes;
            summary.already += sent.already;
            summary.met_damage |= sent.met_damage;
            for ((at, item), result) in sending.into_iter().zip(items).zip(sent.results) {
                outcomes[at] = result.map(|sources| with_sources(item, sources));
            }
        }
        if let Some(output) = output {
            self.restore(some, output, &mut outcomes, summary)?;
        }
        let outcomes = some.iter().zip(outcomes).map(|((_, item, _), outcome)| match outcome {
            Ok(outcome) => outcome,
            Err(trouble) => {
                summary.met_damage |= trouble.is_damage;
                summary.failures.push((item.path(), trouble.cause));
                Outcome::Keep
            }
        });
        Ok(outcomes.collect())
    }

    /// Fetches content for items that are to be files.
    fn restore(
        &self,
        some: &[(usize, &Item, &Step)],
        output: &mut Output,
        outcomes: &mut [Result<Outcome, Trouble>],
        summary: &mut Summary,
    ) -> Result<(), PathError> {
        let (mut wanted, mut wanted_by) = (Vec::new(), Vec::new());
        for (at, (_, item, step)) in some.iter().enumerate() {
            if **step == Step::Restore && item.is_away() {
                let (path, left) = output.stage_fetched(item.place, &item.content_name())?;
                wanted.extend(item.wanted(path).map(|wanted| WantedFile { left, ..wanted }));
                wanted_by.push(at);
            }
        }
        let landed = self.site.transfer.fetch_files(&wanted, &[]);
        for ((at, wanted), landed) in wanted_by.into_iter().zip(&wanted).zip(landed) {
            outcomes[at] = match landed {
                Ok(landed) => {
                    summary.restored += 1;
                    summary.restored_bytes += landed.hashed.size;
                    summary.met_damage |= landed.met_damage;
                    Ok(Outcome::File)
                }
                Err(failure) => {
                    output.unstage(&wanted.path);
                    Err(Trouble { cause: with_causes(&failure), is_damage: failure.is_damage() })
                }
            };
        }
        Ok(())
    }

    /// Puts items into a new folder.
    fn write(
        &self,
        some: &[(usize, &Item, &Step)],
        outcomes: Vec<Outcome>,
        output: &mut Output,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        for ((_, item, _), outcome) in some.iter().zip(outcomes) {
            let source = |name: &OsStr| item.place.path_in(&self.dataset.folder, name);
            match (outcome, &item.state) {
                (Outcome::Remote(remote), _) => {
                    summary.pointed += 1;
                    write_new(&output.stage(item.place, &item.remote_name())?, &remote)?;
                }
                // It was fetched to where it belongs.
                (Outcome::File, State::Remote(_) | State::Tracked(_)) => {}
                (Outcome::Keep, State::Tracked(tracked)) => {
                    if let Some(remote) = &tracked.remote {
                        summary.pointed += 1;
                        write_new(&output.stage(item.place, &item.remote_name())?, remote)?;
                    }
                }
                (Outcome::File, _) => {
                    let target = output.stage(item.place, &item.file)?;
                    self.serialization.put(&source(&item.file), &target)?;
                }
                (Outcome::Keep, state) => {
                    for name in item.names() {
                        let is_content = matches!(state, State::File(_));
                        let way =
                            if is_content { self.serialization } else { Serialization::DeepCopy };
                        way.put(&source(&name), &output.stage(item.place, &name)?)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Changes items in place.
    fn change(
        &self,
        some: &[(usize, &Item, &Step)],
        outcomes: Vec<Outcome>,
        output: &mut Output,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let (mut changes, mut pointed) = (Vec::new(), 0);
        for ((at, item, _), outcome) in some.iter().zip(outcomes) {
            let change = Change {
                item: *at,
                place: item.place,
                staged: None,
                replaces: false,
                superseded: None,
                expected: None,
            };
            changes.push(match (outcome, &item.state) {
                (Outcome::Keep, _) => continue,
                (Outcome::Remote(remote), state) => {
                    let name = item.remote_name();
                    write_new(&output.stage(item.place, &name)?, &remote)?;
                    pointed += 1;
                    let (superseded, expected) = match state {
                        State::File(stamp) | State::Both(stamp, _) => {
                            (Some(item.file.clone()), Some(*stamp))
                        }
                        _ => (None, None),
                    };
                    let replaces = !matches!(state, State::File(_));
                    Change { staged: Some(name), replaces, superseded, expected, ..change }
                }
                (Outcome::File, State::Remote(_)) => Change {
                    staged: Some(item.content_name()),
                    superseded: Some(item.remote_name()),
                    ..change
                },
                (Outcome::File, _) => Change { superseded: Some(item.remote_name()), ..change },
            });
        }
        if changes.is_empty() {
            return Ok(());
        }
        summary.pointed += pointed;
        for (at, why) in output.change(changes)? {
            summary.failures.push((self.dataset.items[at].path(), why));
        }
        Ok(())
    }
}

/// Cuts items into portions that are worked on one after the other.
fn portions<'a>(
    mut items: &'a [(usize, &'a Item, &'a Step)],
) -> impl Iterator<Item = &'a [(usize, &'a Item, &'a Step)]> {
    std::iter::from_fn(move || {
        let mut relayed = 0;
        let too_many = items.iter().position(|(_, item, step)| {
            relayed += usize::from(**step == Step::Send && item.is_away());
            relayed > RELAYED_AT_ONCE
        });
        let count = too_many.unwrap_or(items.len()).min(AT_ONCE);
        let (some, rest) = items.split_at(count);
        items = rest;
        (!some.is_empty()).then_some(some)
    })
}

/// Returns the `.remote` file of an item that is in these lakes now.
fn with_sources(item: &Item, sources: Vec<SourceUrl>) -> Outcome {
    let Some(old) = item.remote() else {
        return RemoteFile::of(sources).map_or(Outcome::Keep, Outcome::Remote);
    };
    let mut file = old.clone();
    sources.iter().for_each(|source| file.add(source));
    match &item.state {
        State::Remote(old) if file == *old => Outcome::Keep,
        _ => Outcome::Remote(file),
    }
}

fn write_new(path: &Path, remote: &RemoteFile) -> Result<(), PathError> {
    let mut file = File::create_new(path).context(path)?;
    file.write_all(remote.to_text().as_bytes()).context(path)
}
