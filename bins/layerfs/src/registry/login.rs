//! `login` and `logout`: a password is tried, and kept if the registry takes it.

use super::auth::Auth;
use super::credentials::{self, Credential, Kept};
use super::explain::{Refused, Subject, Unreachable};
use super::hosts::{self, Access, Endpoint};
use super::http::{Client, Request, join};
use super::settings::Settings;
use crate::cli::{LoginArgs, LogoutArgs};
use anyhow::{Context, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

/// Longer ones are not typed.
const MAX_PASSWORD: u64 = 64 << 10;
/// As a shell says that SIGINT ended a program.
const INTERRUPTED: u8 = 130;

/// `layerfs login`.
///
/// # Errors
/// Nobody to ask for what is missing; the registry cannot be asked. That it says no is status 1.
pub fn login(config: &Path, args: &LoginArgs) -> Result<u8> {
    let account = credentials::account(&args.server).to_owned();
    if args.password.is_some() {
        eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let settings = Settings::load(config)?;
    let client = Client::new(&settings);
    let endpoints = hosts::for_login(&settings, &account)?;
    if args.username.is_none()
        && args.password.is_none()
        && !args.password_stdin
        && let Some(known) = credentials::find(&account)?
    {
        println!("Authenticating with existing credentials...");
        match try_out(&client, &endpoints, &account, known) {
            Ok(()) => {
                println!("Login Succeeded");
                return Ok(0);
            }
            Err(error) if error.is::<Refused>() => eprintln!("Login did not succeed, error: {error}"),
            Err(error) => return Err(error),
        }
    }
    let (user, password) = ask(args)?;
    let credential = Credential::Password { user: user.clone(), password: password.clone() };
    if let Err(error) = try_out(&client, &endpoints, &account, credential) {
        if !error.is::<Refused>() {
            return Err(error);
        }
        eprintln!("layerfs: {error:#}");
        return Ok(1);
    }
    if let Kept::Openly(file) = credentials::store(&account, &user, &password)? {
        eprintln!("WARNING! Your password will be stored unencrypted in {}.", file.display());
        eprintln!("Configure a credential helper to remove this warning: \"credsStore\" in that file.\n");
    }
    println!("Login Succeeded");
    Ok(0)
}

/// `layerfs logout`.
///
/// # Errors
/// The file cannot be written; the helper that keeps the password fails.
pub fn logout(args: &LogoutArgs) -> Result<u8> {
    let account = credentials::account(&args.server);
    println!("Removing login credentials for {}", credentials::key(account));
    if !credentials::erase(account)? {
        println!("Not logged in to {}", credentials::key(account));
    }
    Ok(0)
}

/// Asks the registry for nothing (`GET /v2/`), as somebody.
fn try_out(client: &Client, endpoints: &[Endpoint], account: &str, credential: Credential) -> Result<()> {
    let mut last = None;
    for endpoint in endpoints {
        match try_at(client, endpoint, account, credential.clone()) {
            Err(error) if error.is::<Unreachable>() => last = Some(error),
            other => return other,
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("log in to {account}: there is nowhere to ask")))
}

fn try_at(client: &Client, endpoint: &Endpoint, account: &str, credential: Credential) -> Result<()> {
    let auth = Auth::with(endpoint, credential);
    let subject = Subject {
        operation: format!("log in to {account}"),
        name: account.to_owned(),
        manifest: None,
        access: Access::Login,
    };
    let mut used = None;
    for attempt in 0..2 {
        let mut request = Request::get(join(&endpoint.base, "/v2/")?);
        request.authorization = used;
        let answer = client.send(&mut request)?;
        match answer.status {
            200 => return Ok(()),
            401 if attempt == 0 && auth.refused(&answer.headers, None) => used = auth.authorization(client, &[])?,
            404 => bail!("log in to {account}: it is no registry: there is no /v2/"),
            _ => return Err(Refused::new(&subject, answer).into()),
        }
    }
    bail!("log in to {account}: the registry does not say what it wants")
}

/// Name and password: from the command line, from standard input, from the terminal.
fn ask(args: &LoginArgs) -> Result<(String, String)> {
    if args.password_stdin {
        let Some(user) = args.username.clone() else { bail!("Must provide --username with --password-stdin") };
        let mut password = String::new();
        io::stdin()
            .take(MAX_PASSWORD)
            .read_to_string(&mut password)
            .context("read the password from standard input")?;
        let password = password.trim_end_matches(['\n', '\r']).to_owned();
        return checked(user, password);
    }
    if (args.username.is_none() || args.password.is_none()) && !io::stdin().is_terminal() {
        bail!("Cannot perform an interactive login from a non TTY device: use --username and --password-stdin");
    }
    let user = match &args.username {
        Some(user) => user.clone(),
        None => prompt("Username: ")?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None => prompt_unseen("Password: ")?,
    };
    checked(user, password)
}

fn checked(user: String, password: String) -> Result<(String, String)> {
    if user.is_empty() {
        bail!("log in: a user name is required");
    }
    // In basic authentication the colon ends the name.
    if user.contains(':') {
        bail!("log in: a user name has no colon");
    }
    if password.is_empty() {
        bail!("log in: password is empty");
    }
    Ok((user, password))
}

fn prompt(text: &str) -> Result<String> {
    print!("{text}");
    io::stdout().flush().context("write to standard output")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("read from the terminal")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// As [`prompt`], and the terminal does not show what is typed (termios(3), `ECHO`). Signals are keys like others here: who
/// presses Ctrl-C must not be left with a terminal that shows nothing.
fn prompt_unseen(text: &str) -> Result<String> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal).context("look at the terminal")?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    tcsetattr(&terminal, OptionalActions::Drain, &unseen).context("switch off the terminal's echo")?;
    print!("{text}");
    let typed = io::stdout().flush().context("write to standard output").and_then(|()| read_keys(terminal.lock()));
    tcsetattr(&terminal, OptionalActions::Drain, &before).context("switch on the terminal's echo")?;
    println!();
    match typed? {
        Some(line) => Ok(line),
        None => Err(layout::exit::coded(INTERRUPTED, "log in: interrupted")),
    }
}

/// What is typed until Enter; `None` when it is Ctrl-C.
fn read_keys(keys: impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    for key in keys.bytes() {
        match key.context("read from the terminal")? {
            0x03 | 0x1c => return Ok(None),
            b'\r' | b'\n' | 0x04 => break,
            // Backspace takes a whole character, Ctrl-U the line.
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => line.clear(),
            byte => line.push(byte),
        }
    }
    Ok(Some(String::from_utf8(line).context("read the password: it is not UTF-8")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_typed_with_the_usual_keys() {
        let typed = |keys: &str| read_keys(keys.as_bytes()).unwrap();
        assert_eq!(typed("geheim\rmore").as_deref(), Some("geheim"));
        assert_eq!(typed("geheiß\x7fm\n").as_deref(), Some("geheim"));
        assert_eq!(typed("x\x7f\x7f\x7fa\x04").as_deref(), Some("a"));
        assert_eq!(typed("wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed("geh\x03"), None);
        assert!(read_keys(&b"\xff\n"[..]).is_err());
    }
}
