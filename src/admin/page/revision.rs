//! Changing the configuration from a page: what a form was made for, and what comes after it.

use std::time::Duration;

use axum::http::StatusCode;

use super::fields::Fields;
use super::visitor::Visitor;
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::config::edit::{EditError, Edition, HookChange};

/// How long is waited for the daemon to take a change up: its files are watched, looked at every three seconds besides, and
/// must have been left alone for half a second.
const TAKEN_UP: Duration = Duration::from_secs(8);

/// Why it was not taken.
pub(super) enum Refusal {
    /// It is wrong.
    Wrong(Vec<String>),
    /// Somebody was faster.
    ChangedMeanwhile,
}

/// What tells the configuration's files, as they are, from all others.
pub(super) fn now(app: &App) -> Option<String> {
    let config = app.config();
    Edition::read(config.path()?).ok().map(|edition| edition.revision())
}

/// The same, where nothing goes on without it.
pub(super) fn needed(app: &App) -> Result<String, Problem> {
    now(app).ok_or_else(|| Problem::unavailable("the configuration's files can't be read"))
}

/// Changes the configuration, or says as a problem why not.
pub(super) async fn apply(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    pattern: &str,
    change: &HookChange,
    action: &str,
) -> Result<(), Problem> {
    apply_change(app, visitor, fields, pattern, change, action).await?.map_err(|refusal| match refusal {
        Refusal::Wrong(problems) => Problem::plain(StatusCode::UNPROCESSABLE_ENTITY, problems.join("; ")),
        Refusal::ChangedMeanwhile => {
            let detail = "the configuration has been changed meanwhile: look at the hooks as they are now, and do it again if it is still wanted";
            Problem::plain(StatusCode::CONFLICT, detail)
        }
    })
}

/// Changes the files, notes who did, and waits until the daemon has taken the change up.
pub(super) async fn apply_change(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    pattern: &str,
    change: &HookChange,
    action: &str,
) -> Result<Result<(), Refusal>, Problem> {
    let config = app.config();
    let path =
        config.path().ok_or_else(|| Problem::unavailable("this daemon's configuration is in no file"))?.to_owned();
    let _editing = app.pages.editing.lock().await;
    let mut taken_up = app.config.clone();
    let pen = app.pages.changes.open()?;
    let (seen, wanted) = (fields.text("revision"), (pattern.to_owned(), change.clone()));
    let write = move || {
        let edition = Edition::read(&path)?;
        if edition.revision() != seen {
            return Err(EditError::ChangedMeanwhile);
        }
        let changed = edition.change(&wanted.0, &wanted.1)?;
        changed.write()?;
        Ok((changed.file().display().to_string(), changed.revision().to_owned()))
    };
    let written = tokio::task::spawn_blocking(write)
        .await
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
    let (file, revision) = match written {
        Ok(written) => written,
        Err(EditError::ChangedMeanwhile) => return Ok(Err(Refusal::ChangedMeanwhile)),
        Err(EditError::Refused(problems)) => {
            let told = problems.iter().map(|problem| format!("{problem}: {}", problem.remedy()));
            return Ok(Err(Refusal::Wrong(told.collect())));
        }
        Err(error @ EditError::NoHook { .. }) => return Err(Problem::not_found(error.to_string())),
        Err(error) => return Err(Problem::unavailable(error.to_string())),
    };
    pen.note(visitor, action, &format!("{pattern}/{}", called(change)), &format!("{} in {file}", told(change)));
    let in_force = taken_up.wait_for(|config| config.revision() == revision);
    match tokio::time::timeout(TAKEN_UP, in_force).await {
        Ok(Ok(_)) => Ok(Ok(())),
        Ok(Err(_)) | Err(_) => Err(Problem::unavailable(format!(
            "the change is written to {file}, and not in force yet: the daemon's log says whether it takes it up"
        ))),
    }
}

fn called(change: &HookChange) -> &str {
    match change {
        HookChange::Add(draft) => draft.name.as_deref().unwrap_or_default(),
        HookChange::Replace(name, _) | HookChange::Enable(name, _) | HookChange::Delete(name) => name,
    }
}

fn told(change: &HookChange) -> String {
    match change {
        HookChange::Add(draft) | HookChange::Replace(_, draft) => {
            let when = draft.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default();
            format!("{} starts {}{when}", draft.event, draft.flow)
        }
        HookChange::Enable(_, enabled) => format!("enabled = {enabled}"),
        HookChange::Delete(_) => "gone".into(),
    }
}
