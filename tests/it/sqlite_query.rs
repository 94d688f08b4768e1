//! The tool `sqlite_query`: what it reads, and that it changes nothing.

use std::fs;
use std::time::Duration;

use openai_agents::tools::sqlite_query::{SqliteQueryOptions, sqlite_query};
use openai_agents::tools::{ToolError, ToolName};
use openai_agents::{RunContext, ToolContext};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::folder::Folder;

fn shop() -> Folder {
    let folder = Folder::new();
    let database = Connection::open(folder.path("shop.db")).unwrap();
    let schema = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL, picture BLOB);
        INSERT INTO items VALUES (1, 'pen', 1.5, NULL), (2, 'book', 20.0, x'010203'), (3, NULL, 9e999, NULL);
        CREATE VIEW cheap AS SELECT name FROM items WHERE price < 10;
        CREATE TRIGGER t AFTER DELETE ON items BEGIN SELECT 1; END;";
    database.execute_batch(schema).unwrap();
    folder
}

async fn ask(folder: &Folder, options: SqliteQueryOptions, sql: &str) -> Result<String, String> {
    let tool = sqlite_query(folder.path("shop.db"), options);
    let arguments = json!({ "sql": sql }).to_string();
    let name = ToolName::new("sqlite_query").unwrap();
    let cx = ToolContext::new(RunContext::default(), "A", name, "c1", arguments);
    match tool.invoke(cx).await.into_output() {
        Ok(output) => Ok(output.to_json().as_str().unwrap().to_owned()),
        Err(ToolError::Failed { source, .. }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn rows(folder: &Folder, sql: &str) -> Value {
    let text = ask(folder, SqliteQueryOptions::default(), sql)
        .await
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn sqlite_query_gives_columns_and_rows() {
    let folder = shop();
    assert_eq!(
        rows(&folder, "SELECT * FROM items ORDER BY id").await,
        json!({
            "columns": ["id", "name", "price", "picture"],
            "rows": [[1, "pen", 1.5, null], [2, "book", 20.0, "(3 bytes)"], [3, null, "inf", null]],
        })
    );
    assert_eq!(
        rows(&folder, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) AS total FROM n;").await,
        json!({"columns": ["total"], "rows": [[6]]})
    );
    assert_eq!(
        rows(&folder, "SELECT name FROM cheap").await,
        json!({"columns": ["name"], "rows": [["pen"]]})
    );
    let schema = rows(
        &folder,
        "SELECT name FROM sqlite_schema WHERE type = 'table'",
    )
    .await;
    assert_eq!(schema["rows"], json!([["items"]]));
    let columns = rows(&folder, "SELECT name FROM pragma_table_info('items')").await;
    assert_eq!(
        columns["rows"],
        json!([["id"], ["name"], ["price"], ["picture"]])
    );
    assert_eq!(
        rows(&folder, "PRAGMA table_info(items)").await["rows"][0][1],
        "id"
    );
}

#[tokio::test]
async fn sqlite_query_changes_nothing() {
    let folder = shop();
    let before = fs::read(folder.path("shop.db")).unwrap();
    let other = folder.path("other.db").display().to_string();
    for sql in [
        "DELETE FROM items".to_owned(),
        "INSERT INTO items (name) VALUES ('x') RETURNING id".to_owned(),
        "UPDATE items SET name = 'x'".to_owned(),
        "DROP TABLE items".to_owned(),
        "CREATE TEMP TABLE t (x)".to_owned(),
        format!("ATTACH DATABASE '{other}' AS other"),
        format!("VACUUM INTO '{other}'"),
        "VACUUM".to_owned(),
        "BEGIN IMMEDIATE".to_owned(),
        "PRAGMA query_only = 0".to_owned(),
        "PRAGMA journal_mode = WAL".to_owned(),
        "PRAGMA writable_schema = 1".to_owned(),
        "PRAGMA user_version = 7".to_owned(),
        "SELECT load_extension('libm.so')".to_owned(),
        "SELECT writefile('x', 'y')".to_owned(),
        "SELECT 1; DELETE FROM items".to_owned(),
        String::new(),
        "-- nothing".to_owned(),
        "SELEC 1".to_owned(),
    ] {
        let refused = ask(&folder, SqliteQueryOptions::default(), &sql).await;
        assert!(refused.is_err(), "{sql}: {refused:?}");
        assert_eq!(fs::read(folder.path("shop.db")).unwrap(), before, "{sql}");
    }
    let names = fs::read_dir(folder.path("")).unwrap().flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["shop.db"]);
    let refused = ask(&folder, SqliteQueryOptions::default(), "DELETE FROM items").await;
    let reason = "the statement is not one that only reads; use one SELECT";
    assert_eq!(refused, Err(reason.to_owned()));
}

#[tokio::test]
async fn sqlite_query_is_bounded_in_rows_bytes_time_and_memory() {
    let folder = shop();
    let options = SqliteQueryOptions::default();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT";
    let text = ask(
        &folder,
        options.clone().max_rows(2),
        &format!("{endless} i FROM n"),
    )
    .await;
    let left_out = "there are more rows; they are left out";
    let expected =
        format!("{{\"columns\":[\"i\"],\n\"rows\":[[1],\n[2]],\n\"more\":\"{left_out}\"}}");
    assert_eq!(text, Ok(expected));
    let long = format!("{endless} printf('%.*c', 1000, 'x') FROM n");
    let text = ask(&folder, options.clone().max_bytes(10_000), &long)
        .await
        .unwrap();
    assert!(text.len() < 10_100, "{}", text.len());
    assert!(serde_json::from_str::<Value>(&text).unwrap()["more"] == left_out);
    let quick = options.clone().timeout(Duration::from_millis(50));
    assert_eq!(
        ask(&folder, quick, &format!("{endless} count(*) FROM n")).await,
        Err("the query took longer than 0.05 s; ask for less, or use an index".to_owned())
    );
    for large in [
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
    ] {
        assert!(
            ask(&folder, options.clone(), large).await.is_err(),
            "{large}"
        );
    }
}

#[tokio::test]
async fn sqlite_query_of_a_file_that_is_none_makes_none() {
    let folder = Folder::new();
    let refused = ask(&folder, SqliteQueryOptions::default(), "SELECT 1").await;
    assert!(refused.unwrap_err().contains("cannot be opened"));
    assert!(!folder.path("shop.db").exists());
    fs::write(
        folder.path("shop.db"),
        "not a database, but long enough to be looked at",
    )
    .unwrap();
    let refused = ask(
        &folder,
        SqliteQueryOptions::default(),
        "SELECT * FROM sqlite_schema",
    )
    .await;
    assert!(refused.unwrap_err().contains("not a database"));
}
