//! The writes of many callers in one transaction, each one done as a whole.

use tokio_postgres::Row;

use super::{PostgresStore, fresh::HEAD, rows};
use crate::{
    adapters::postgres::{DatabaseError, Step},
    call::Lane,
    memory::{
        Add, Found, MemoryError, MemoryId, Operation, Outcome, Owner, Write, Written,
        budget::Budget,
    },
};
use tokio::time::Instant;

/// Begins a transaction that changes rows which others may change, too. The lock comes first, so
/// that two of them never wait for each other.
pub(super) const BEGIN: &str = "BEGIN; SELECT FROM mcp_server.head FOR UPDATE";

impl PostgresStore {
    /// Does all writes that do not search in one transaction, and each of the others in its own.
    pub(super) async fn commit_all(&self, writes: Vec<Write>) -> Vec<Written> {
        let mut done: Vec<Option<Written>> = writes.iter().map(|_| None).collect();
        let now = Instant::now();
        let mut group = Vec::new();
        for (at, write) in writes.iter().enumerate() {
            if write.call.deadline.is_some_and(|deadline| now >= deadline) {
                done[at] = Some(Err(MemoryError::Timeout));
            } else if !write.operations.iter().any(is_search) {
                group.push(at);
            }
        }
        let together: Vec<&Write> = group.iter().map(|at| &writes[*at]).collect();
        for (at, written) in group.iter().zip(self.commit_group(&together).await) {
            done[*at] = Some(written);
        }
        for (at, write) in writes.iter().enumerate() {
            if done[at].is_none() {
                done[at] = Some(self.commit_one_by_one(write).await);
            }
        }
        self.sweep_if_due();
        done.into_iter().flatten().collect()
    }

    /// None of the writes searches.
    async fn commit_group(&self, writes: &[&Write]) -> Vec<Written> {
        if writes.is_empty() {
            return Vec::new();
        }
        let plan = Plan::of(writes);
        match self.run(&plan, writes).await {
            Ok(rows) => writes
                .iter()
                .zip(&plan.places)
                .map(|(write, places)| self.outcomes(write, places, &plan, &rows))
                .collect(),
            Err(error) => writes.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn run(&self, plan: &Plan, writes: &[&Write]) -> Result<Vec<Vec<Row>>, MemoryError> {
        let deadlines = writes.iter().map(|write| write.call.deadline);
        // Whoever waits for longest; forever, if anybody does.
        let deadline = deadlines.reduce(|a, b| Some(a?.max(b?))).flatten();
        let lane = writes.first().map_or(Lane::Other, |write| write.call.lane);
        let mut session = self.database.primary(lane, deadline).await?;
        // New rows are in nobody's way, and one statement is a transaction by itself.
        let sent = match &plan.steps[..] {
            [_, _head] if plan.only_adds => session.pipeline(&plan.steps).await,
            steps => session.transact(BEGIN, steps).await,
        };
        let mut rows = sent.map_err(DatabaseError::of_commit)?;
        if let Some(head) = rows.pop() {
            self.fresh.saw_own(&head);
        }
        Ok(rows)
    }

    fn outcomes(&self, write: &Write, places: &[Place], plan: &Plan, rows: &[Vec<Row>]) -> Written {
        let mut budget = Budget::new(self.answer_bytes_max);
        let outcomes = write.operations.iter().zip(places);
        Ok(outcomes
            .map(|(operation, place)| {
                let rows = &rows[place.step];
                let id = place.added.map(|added| &plan.ids[added]);
                outcome(operation, id, rows, &mut budget)
            })
            .collect())
    }

    /// One after the other: what is searched for depends on what was written before it.
    async fn commit_one_by_one(&self, write: &Write) -> Written {
        let call = &write.call;
        let mut session = self.database.primary(call.lane, call.deadline).await?;
        session.begin(BEGIN).await?;
        let mut budget = Budget::new(self.answer_bytes_max);
        let mut results = Vec::with_capacity(write.operations.len());
        for operation in &write.operations {
            let result = match operation {
                Operation::Search(search) => {
                    let found = self.search_within(&mut session, &call.owner, search).await;
                    match found {
                        Err(MemoryError::IndexNotReady { read, of }) => {
                            Err(MemoryError::IndexNotReady { read, of })
                        }
                        // What is not committed yet is nothing that an answer could rest on later.
                        found => Ok(Outcome::Found(Found {
                            basis: None,
                            ..found?
                        })),
                    }
                }
                _ => {
                    let id = MemoryId::generate();
                    let step = step(&call.owner, operation, &id);
                    let rows = session.pipeline(&[step]).await?;
                    let id = add_id(operation).unwrap_or(id);
                    outcome(operation, Some(&id), &rows[0], &mut budget)
                }
            };
            results.push(result);
        }
        let head = session.query(&HEAD, &[]).await?;
        session.commit().await.map_err(DatabaseError::of_commit)?;
        self.fresh.saw_own(&head);
        Ok(results)
    }
}

/// The statements of a group, and where the result of each operation is.
struct Plan {
    steps: Vec<Step>,
    /// By write, by operation.
    places: Vec<Vec<Place>>,
    /// The ids of what is added.
    ids: Vec<MemoryId>,
    only_adds: bool,
}

/// Where the result of an operation is: in the rows of which step, under which of the ids.
struct Place {
    step: usize,
    added: Option<usize>,
}

impl Plan {
    /// Adds that follow each other are one statement. The last step asks how far the changes go.
    fn of(writes: &[&Write]) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            places: Vec::new(),
            ids: Vec::new(),
            only_adds: true,
        };
        let mut adds: Vec<(&Owner, MemoryId, &Add)> = Vec::new();
        for write in writes {
            let owner = &write.call.owner;
            let mut places = Vec::with_capacity(write.operations.len());
            for operation in &write.operations {
                let added = match operation {
                    Operation::Add(add) => {
                        let id = add_id(operation).unwrap_or_else(MemoryId::generate);
                        plan.ids.push(id.clone());
                        adds.push((owner, id, add));
                        Some(plan.ids.len() - 1)
                    }
                    _ => {
                        plan.only_adds = false;
                        plan.flush(&mut adds);
                        None
                    }
                };
                places.push(Place {
                    step: plan.steps.len(),
                    added,
                });
                if added.is_none() {
                    plan.steps
                        .push(step(owner, operation, &MemoryId::generate()));
                }
            }
            plan.places.push(places);
        }
        plan.flush(&mut adds);
        plan.steps.push(Step {
            sql: &HEAD,
            values: Vec::new(),
        });
        plan
    }

    fn flush(&mut self, adds: &mut Vec<(&Owner, MemoryId, &Add)>) {
        if !adds.is_empty() {
            let all: Vec<_> = adds
                .iter()
                .map(|(owner, id, add)| (*owner, id, *add))
                .collect();
            self.steps.push(rows::add(&all));
            adds.clear();
        }
    }
}

fn is_search(operation: &Operation) -> bool {
    matches!(operation, Operation::Search(_))
}

fn add_id(operation: &Operation) -> Option<MemoryId> {
    match operation {
        Operation::Add(add) => add.id.clone(),
        _ => None,
    }
}

/// The statement of one operation that does not search; `id` is for an add that has none.
fn step(owner: &Owner, operation: &Operation, id: &MemoryId) -> Step {
    match operation {
        Operation::Add(add) => rows::add(&[(owner, add.id.as_ref().unwrap_or(id), add)]),
        Operation::Get(get) => rows::get(owner, get),
        Operation::Update(update) => rows::update(owner, update),
        Operation::Delete(delete) => rows::delete(owner, delete),
        Operation::Search(_) => unreachable!("whoever calls this has seen to searches"),
    }
}

fn outcome(
    operation: &Operation,
    id: Option<&MemoryId>,
    rows: &[Row],
    budget: &mut Budget,
) -> Result<Outcome, MemoryError> {
    Ok(match operation {
        Operation::Add(_) => {
            let id = id.expect("every add has one");
            Outcome::Added(rows::added(rows, id)?)
        }
        Operation::Get(get) => Outcome::Memory(rows::got(rows, get, budget)?),
        Operation::Update(update) => Outcome::Updated(rows::updated(rows, update)?),
        Operation::Delete(delete) => Outcome::Deleted(rows::deleted(rows, delete)?),
        Operation::Search(_) => unreachable!("whoever calls this has seen to searches"),
    })
}
