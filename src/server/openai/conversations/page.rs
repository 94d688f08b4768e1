//! Parses which page of items a client asks for.

use crate::server::error::ApiError;

/// A part of the items of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) order: Order,
    pub(super) limit: usize,
    /// The id of the item before the first.
    pub(super) after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    OldestFirst,
    LatestFirst,
}

impl Page {
    /// Reads a query; none of its values has characters that would be escaped.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let mut page = Self {
            order: Order::LatestFirst,
            limit: 20,
            after: None,
        };
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "after" => page.after = Some(value.to_owned()),
                "order" => page.order = order(value)?,
                "limit" => page.limit = limit(value)?,
                other => return Err(refused(other)),
            }
        }
        Ok(page)
    }
}

/// Refuses any query.
pub(super) fn no_query(query: Option<&str>) -> Result<(), ApiError> {
    match query.filter(|query| !query.is_empty()) {
        None => Ok(()),
        Some(query) => Err(refused(query.split(['=', '&']).next().unwrap_or_default())),
    }
}

fn order(value: &str) -> Result<Order, ApiError> {
    match value {
        "asc" => Ok(Order::OldestFirst),
        "desc" => Ok(Order::LatestFirst),
        _ => Err(ApiError::invalid("order", "`order` is `asc` or `desc`")),
    }
}

fn limit(value: &str) -> Result<usize, ApiError> {
    let limit = value.parse().ok().filter(|limit| (1..=100).contains(limit));
    limit.ok_or_else(|| ApiError::invalid("limit", "`limit` is a number from 1 to 100"))
}

fn refused(name: &str) -> ApiError {
    let message = format!("the query parameter `{name}` is not supported here");
    ApiError::unsupported(name, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_query_is_read_or_refused() {
        let page = |order, limit, after: Option<&str>| Page {
            order,
            limit,
            after: after.map(str::to_owned),
        };
        for (query, expect) in [
            (None, Ok(page(Order::LatestFirst, 20, None))),
            (
                Some("limit=100&order=asc&after=msg_1_0"),
                Ok(page(Order::OldestFirst, 100, Some("msg_1_0"))),
            ),
            (Some("limit=0"), Err("limit")),
            (Some("limit=101"), Err("limit")),
            (Some("limit=x"), Err("limit")),
            (Some("order=up"), Err("order")),
            (Some("include=x"), Err("include")),
        ] {
            let found = Page::parse(query).map_err(|error| error.param.unwrap());
            assert_eq!(found, expect.map_err(str::to_owned), "{query:?}");
        }
    }
}
