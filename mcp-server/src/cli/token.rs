//! `mcp-server token add | list | revoke`.

use super::{
    CliError,
    args::{TokenAddArgs, TokenCommand},
    config::print,
};
use crate::{
    app::{self, BuildError},
    auth::{Entry, Token, TokenFile, TokenFileError},
    config::Config,
};

pub(super) async fn run(config: &Config, command: TokenCommand) -> Result<(), CliError> {
    let file = TokenFile::new(&app::data_dir(config)?);
    // The file is locked and synced.
    let answer = tokio::task::spawn_blocking(move || match command {
        TokenCommand::Add(args) => add(&file, &args),
        TokenCommand::List => list(&file),
        TokenCommand::Revoke { id } => revoke(&file, &id),
    });
    let answer = answer.await.map_err(|error| CliError::Io {
        what: "cannot change the tokens",
        source: error.into(),
    })?;
    print(&answer?)
}

fn add(file: &TokenFile, args: &TokenAddArgs) -> Result<String, CliError> {
    let token = Token::generate()
        .map_err(|error| CliError::Token(format!("cannot make a token: {error}")))?;
    let entry = Entry::new(&token, &args.name, &args.tenant, args.scope)
        .map_err(|error| CliError::Token(error.to_string()))?;
    let (id, scope, tenant) = (entry.id.clone(), entry.scope, entry.tenant.clone());
    file.add(entry)?;
    tracing::info!(
        "made token {id} with the scope `{scope}` for the tenant `{tenant}`; it is shown only now"
    );
    Ok(format!("{}\n", token.secret()))
}

fn list(file: &TokenFile) -> Result<String, CliError> {
    let line = |entry: &Entry| {
        let Entry {
            id,
            name,
            tenant,
            scope,
            created,
            ..
        } = entry;
        format!("{id}  {:5}  {created:.0}  {tenant}  {name}\n", scope.name())
    };
    Ok(file.read()?.iter().map(line).collect())
}

fn revoke(file: &TokenFile, id: &str) -> Result<String, CliError> {
    match file.revoke(id)? {
        Some(entry) => Ok(format!("revoked {id}, {}\n", entry.name)),
        None => {
            let message = format!("there is no token `{id}`: see `mcp-server token list`");
            Err(CliError::Token(message))
        }
    }
}

impl From<TokenFileError> for CliError {
    fn from(error: TokenFileError) -> Self {
        BuildError::Tokens(error).into()
    }
}
