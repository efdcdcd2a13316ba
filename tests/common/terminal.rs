//! A terminal to run a command in, and what is to be seen on it.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::Repo;

const COLUMNS: u16 = 80;

/// What a command wrote to its terminal.
pub(crate) struct Seen {
    /// All bytes.
    pub(crate) raw: String,
    /// The lines that are left on the screen.
    pub(crate) screen: Vec<String>,
}

impl Repo {
    /// Runs git with its output and messages on a terminal of 70 columns; git has to succeed.
    #[track_caller]
    pub(crate) fn git_on_terminal(&self, args: &[&str]) -> Seen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let size =
            rustix::termios::Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).unwrap();
        let mut command = self.with("TERM", "xterm").command("git");
        command.args(args).stdout(Stdio::from(slave.try_clone().unwrap())).stderr(slave);
        let mut child = command.spawn().unwrap();
        // The command holds the other end, too.
        drop(command);
        let (mut raw, mut buffer, mut master) = (Vec::new(), [0; 4096], File::from(master));
        // Reading ends with an error once nobody has the other end open.
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            raw.extend_from_slice(&buffer[..count]);
        }
        let raw = String::from_utf8(raw).unwrap();
        assert!(child.wait().unwrap().success(), "git {args:?}: {raw:?}");
        let screen = screen(&raw);
        Seen { raw, screen }
    }
}

/// Does what a terminal does with long lines, carriage returns, line feeds and `ESC [ K`.
fn screen(raw: &str) -> Vec<String> {
    let (mut lines, mut column) = (vec![Vec::new()], 0);
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        if column == usize::from(COLUMNS) && !matches!(c, '\r' | '\n' | '\x1b') {
            lines.push(Vec::new());
            column = 0;
        }
        let line = lines.last_mut().unwrap();
        match c {
            '\r' => column = 0,
            '\n' => lines.push(Vec::new()),
            '\x1b' => {
                let sequence: String = rest.by_ref().take(2).collect();
                assert_eq!(sequence, "[K", "an escape sequence that this terminal does not know");
                line.truncate(column);
            }
            c => {
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = c;
                column += 1;
            }
        }
    }
    let text = lines.into_iter().map(|line| line.into_iter().collect::<String>());
    let mut lines: Vec<String> = text.map(|line| line.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
