//! A store lists its sessions.

use openai_agents::Item;
use openai_agents::session::{SessionId, SessionSummary, SessionTurn, Sessions};

/// The sessions of this test; others may be there, too.
async fn listed(sessions: &dyn Sessions, limit: Option<usize>) -> Vec<(String, u64)> {
    let all = sessions.list(limit).await.unwrap();
    let own = all
        .iter()
        .filter(|one| one.id.as_str().starts_with("list:"));
    own.map(|one| (one.id.to_string(), one.n_items)).collect()
}

pub(crate) async fn lists_the_latest_first(sessions: &dyn Sessions) {
    let open = |id: &str| sessions.open(SessionId::new(id).unwrap());
    let [first, second] = ["list: {first}%:", "list: second"].map(open);
    let turn = || SessionTurn::new([Item::user("hi"), Item::assistant("hello")]);
    first.append(turn()).await.unwrap();
    second.append(turn()).await.unwrap();
    let entry = |id: &str, n_items| (id.to_owned(), n_items);
    let (one, two) = (entry("list: {first}%:", 2), entry("list: second", 2));
    assert_eq!(listed(sessions, None).await, [two.clone(), one]);
    first.append(turn()).await.unwrap();
    let one = entry("list: {first}%:", 4);
    assert_eq!(listed(sessions, None).await, [one.clone(), two.clone()]);
    assert_eq!(listed(sessions, Some(1)).await, [one]);
    let all = sessions.list(None).await.unwrap();
    let times = |one: &SessionSummary| [one.created_at.clone(), one.updated_at.clone()];
    for time in all.iter().flat_map(times) {
        let digits = time.unwrap().replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(digits, "0000-00-00 00:00:00");
    }
    first.clear().await.unwrap();
    assert_eq!(listed(sessions, None).await, [two]);
    second.clear().await.unwrap();
    assert_eq!(listed(sessions, None).await, []);
}
