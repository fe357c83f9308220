//! From the names that clients give themselves to lanes.

use crate::call::Lane;

/// Letters and digits of a name that are looked at; the rest says nothing more.
const LETTERS_MAX: usize = 64;

/// The lane of a client that calls itself `name`, as in `clientInfo.name`: the case, what stands
/// between the words and what follows do not matter. An unknown name is [`Lane::Other`].
#[must_use]
pub fn lane_of(name: &str) -> Lane {
    let letters: String = name
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(LETTERS_MAX)
        .collect();
    // First of all: Cursor also calls itself `cursor-vscode`.
    if letters.starts_with("cursor") {
        return Lane::Cursor;
    }
    let is_vscode = letters.contains("vscode")
        || letters.starts_with("visualstudiocode")
        || matches!(
            letters.as_str(),
            "code" | "codeinsiders" | "codeoss" | "vscodium"
        );
    match is_vscode {
        true => Lane::Vscode,
        false => Lane::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_whatever_their_spelling() {
        for name in [
            "cursor",
            "Cursor",
            "CURSOR",
            " Cursor ",
            "cursor-vscode",
            "Cursor VSCode",
            "cursor-agent",
            "Cursor/1.7.2",
            "cursor.sh",
        ] {
            assert_eq!(lane_of(name), Lane::Cursor, "{name}");
        }
        for name in [
            "vscode",
            "VS Code",
            "VSCode",
            "Visual Studio Code",
            "visual-studio-code",
            "Visual Studio Code - Insiders",
            "Visual Studio Code - Exploration",
            "vscode-insiders",
            "Code",
            "Code - Insiders",
            "Code - OSS",
            "VSCodium",
            "github-copilot-vscode",
        ] {
            assert_eq!(lane_of(name), Lane::Vscode, "{name}");
        }
        for name in [
            "",
            " - ",
            "other",
            "Claude Code",
            "claude-ai",
            "codex-mcp-client",
            "Visual Studio",
            "precursor",
            "windsurf",
            "test",
            "カーソル",
            &"x".repeat(1 << 20),
        ] {
            let shown: String = name.chars().take(20).collect();
            assert_eq!(lane_of(name), Lane::Other, "{shown}");
        }
    }
}
