//! Tools that take several rounds: they answer with questions, and the client
//! calls again with the answers. Nothing is remembered in between; whatever must
//! survive travels with the client as a sealed state.

use serde_json::Value;

use super::{Call, Outcome, Spec, at_once, fail, no_arguments, say};
use crate::inputs::{self, Question};

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_input_required_result_elicitation",
        description: "Asks the user for a name, then greets",
        schema: no_arguments,
        run: |call| at_once(greet(&call)),
    },
    Spec {
        name: "test_input_required_result_sampling",
        description: "Has the client's model answer a question",
        schema: no_arguments,
        run: |call| at_once(sample(&call)),
    },
    Spec {
        name: "test_input_required_result_list_roots",
        description: "Asks for the client's roots",
        schema: no_arguments,
        run: |call| at_once(list_roots(&call)),
    },
    Spec {
        name: "test_input_required_result_request_state",
        description: "Carries a state through the client",
        schema: no_arguments,
        run: |call| at_once(confirm(&call)),
    },
    Spec {
        name: "test_input_required_result_tampered_state",
        description: "Carries a state through the client, and refuses a forged one",
        schema: no_arguments,
        run: |call| at_once(confirm(&call)),
    },
    Spec {
        name: "test_input_required_result_multiple_inputs",
        description: "Asks three different questions at once",
        schema: no_arguments,
        run: |call| at_once(gather(&call)),
    },
    Spec {
        name: "test_input_required_result_multi_round",
        description: "Asks one question after the other",
        schema: no_arguments,
        run: |call| at_once(step(&call)),
    },
    Spec {
        name: "test_input_required_result_capabilities",
        description: "Asks only what the client declared it can answer",
        schema: no_arguments,
        run: |call| at_once(ask_what_is_possible(&call)),
    },
];

/// The questions of the tool with several rounds, in order: key, message, field.
const STEPS: &[(&str, &str, &str)] = &[
    ("step1", "Step 1: What is your name?", "name"),
    ("step2", "Step 2: What is your favorite color?", "color"),
];

fn greet(call: &Call) -> Outcome {
    let Some(answer) = call.answers.get("user_name") else {
        return ask(call, [name_question()]);
    };
    match inputs::typed(answer, "name") {
        Some(name) => say(format!("Hello, {name}!")),
        None => fail("no name was given"),
    }
}

fn sample(call: &Call) -> Outcome {
    let Some(answer) = call.answers.get("capital_question") else {
        let question = inputs::sampling("capital_question", "What is the capital of France?");
        return ask(call, [question]);
    };
    match inputs::typed(answer, "text") {
        Some(text) => say(format!("The model says: {text}")),
        None => fail("the model returned no text"),
    }
}

fn list_roots(call: &Call) -> Outcome {
    let Some(answer) = call.answers.get("client_roots") else {
        return ask(call, [inputs::roots("client_roots")]);
    };
    let roots = answer.get("roots").and_then(Value::as_array);
    let uris: Vec<_> = roots
        .into_iter()
        .flatten()
        .filter_map(|root| root.get("uri")?.as_str())
        .collect();
    say(format!("The client works in: {}", uris.join(", ")))
}

fn confirm(call: &Call) -> Outcome {
    let Some(state) = &call.request_state else {
        let question = inputs::form("confirm", "Please confirm", "ok", "boolean");
        return ask_with_state(call, [question], 0);
    };
    let _: usize = call.shared.seal.open(&call.name, state)?;
    if call.answers.has_all(&["confirm"]) {
        say("state-ok")
    } else {
        fail("the state came back without a confirmation")
    }
}

fn gather(call: &Call) -> Outcome {
    if let Some(state) = &call.request_state {
        let _: usize = call.shared.seal.open(&call.name, state)?;
        if call
            .answers
            .has_all(&["user_name", "greeting", "client_roots"])
        {
            return say("received all three answers");
        }
    }
    ask_with_state(call, three_questions(), 0)
}

fn step(call: &Call) -> Outcome {
    let asked: Option<usize> = match &call.request_state {
        None => None,
        Some(state) => Some(call.shared.seal.open(&call.name, state)?),
    };
    let next = match asked {
        None => 0,
        // Unanswered: the same question again.
        Some(step)
            if !STEPS
                .get(step)
                .is_some_and(|(key, ..)| call.answers.has_all(&[key])) =>
        {
            step
        }
        Some(step) => step + 1,
    };
    match STEPS.get(next) {
        Some((key, message, field)) => {
            ask_with_state(call, [inputs::form(key, message, field, "string")], next)
        }
        None => say("all questions were answered"),
    }
}

fn ask_what_is_possible(call: &Call) -> Outcome {
    let client = call.client();
    let possible: Vec<_> = three_questions()
        .into_iter()
        .filter(|(_, request)| inputs::can_answer(&client, request))
        .collect();
    if possible.is_empty() {
        return say("the client cannot be asked anything");
    }
    if possible
        .iter()
        .all(|(key, _)| call.answers.get(key).is_some())
    {
        return say("received what the client can answer");
    }
    ask(call, possible)
}

fn name_question() -> Question {
    inputs::form("user_name", "What is your name?", "name", "string")
}

fn three_questions() -> [Question; 3] {
    [
        name_question(),
        inputs::sampling("greeting", "Generate a greeting"),
        inputs::roots("client_roots"),
    ]
}

fn ask(call: &Call, questions: impl IntoIterator<Item = Question>) -> Outcome {
    Ok(inputs::ask(&call.context, questions, None)?.into())
}

/// Asks, and has the client bring `state` back with its answers.
fn ask_with_state(
    call: &Call,
    questions: impl IntoIterator<Item = Question>,
    state: usize,
) -> Outcome {
    let sealed = call.shared.seal.close(&call.name, &state)?;
    Ok(inputs::ask(&call.context, questions, Some(sealed))?.into())
}
