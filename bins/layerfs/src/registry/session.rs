//! Asking a registry: at the first of its places that answers, as somebody whom it knows.

use super::auth::Auth;
use super::explain::{Refused, Subject, Unreachable};
use super::hosts::Endpoint;
use super::http::{Answer, Client, Request};
use super::settings::Settings;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ureq::http::Uri;

/// What it takes to speak to a registry. Threads share it.
pub struct Session {
    client: Client,
    places: Vec<Place>,
    /// The first that is worth asking.
    first: AtomicUsize,
}

struct Place {
    endpoint: Endpoint,
    auth: Auth,
    has_answered: AtomicBool,
}

impl Session {
    /// Speaks to nobody yet.
    pub fn new(settings: &Settings, endpoints: Vec<Endpoint>) -> Session {
        let place = |endpoint| Place { auth: Auth::new(&endpoint), endpoint, has_answered: AtomicBool::new(false) };
        let places = endpoints.into_iter().map(place).collect();
        Session { client: Client::new(settings), places, first: AtomicUsize::new(0) }
    }

    /// Asks what `request` makes for an address, at each place until one gives it. Says also which that was.
    ///
    /// After a mirror the next place is asked whatever was wrong; after https, http is asked where nothing spoke https.
    ///
    /// # Errors
    /// The last place's [`Refused`] or [`Unreachable`].
    pub fn ask<'a>(
        &self,
        scopes: &[String],
        subject: &Subject,
        request: impl Fn(&Uri) -> Result<Request<'a>>,
    ) -> Result<(Answer, usize)> {
        let mut number = self.first.load(Ordering::Relaxed);
        let mut missed = String::new();
        loop {
            let place = self.places.get(number).context("ask the registry: it is nowhere")?;
            let error =
                match request(&place.endpoint.base).and_then(|request| self.ask_at(number, scopes, subject, request)) {
                    Ok(answer) => return Ok((answer, number)),
                    Err(error) => error,
                };
            let is_silent = error.is::<Unreachable>();
            let is_open = place.endpoint.is_mirror || (is_silent && !place.has_answered.load(Ordering::Relaxed));
            if !is_open || number + 1 == self.places.len() {
                // Where both were tried, what https said explains more than that nobody listens for http.
                let differs = is_silent && !missed.is_empty() && missed != error.to_string();
                return Err(if differs { error.context(format!("{missed}; and without https")) } else { error });
            }
            missed = if place.endpoint.is_mirror { String::new() } else { error.to_string() };
            number += 1;
            if is_silent {
                self.first.fetch_max(number, Ordering::Relaxed);
            }
        }
    }

    /// Asks one place. A token that has become too old is replaced by a new one, once.
    ///
    /// # Errors
    /// [`Refused`] for every answer that is no success, [`Unreachable`] when there is none.
    pub fn ask_at(
        &self,
        number: usize,
        scopes: &[String],
        subject: &Subject,
        mut request: Request<'_>,
    ) -> Result<Answer> {
        let place = &self.places[number];
        let mut asked_again = false;
        loop {
            request.authorization = place.auth.authorization(&self.client, scopes)?;
            let answer = self.client.send(&mut request)?;
            place.has_answered.store(true, Ordering::Relaxed);
            match answer.status {
                200..=299 => return Ok(answer),
                401 if !asked_again
                    && request.is_whole()
                    && place.auth.refused(&answer.headers, request.authorization.as_deref()) =>
                {
                    asked_again = true;
                }
                _ => return Err(Refused::new(subject, answer).into()),
            }
        }
    }
}
