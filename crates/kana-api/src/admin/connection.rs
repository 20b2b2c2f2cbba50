//! Pages in the form of Relay. A page starts where the one before it ended, by key and not by
//! number, and so takes the same time wherever it lies.

use async_graphql::SimpleObject;
use kana_core::Timestamp;
use kana_core::id::{SubscriptionId, UserKey};
use kana_core::refusal::InvalidValue;
use kana_graphql::{List, Turn};

use super::subscription::PackageSubscription;
use super::user::User;

/// The most items of a page.
const PAGE_MAX: i32 = 1000;
/// The most items that a list without pages answers.
pub(super) const LIST_MAX: usize = 10_000;

/// Users in order of creation.
#[derive(SimpleObject)]
pub(super) struct UserConnection {
    /// The users of this page
    edges: List<UserEdge>,
    /// Where the page lies
    page_info: PageInfo,
}

/// A user in a page.
#[derive(SimpleObject)]
pub(super) struct UserEdge {
    /// Where a page after this user starts
    cursor: String,
    /// The user
    node: User,
}

/// Subscriptions, newest first by their start, then by creation.
#[derive(SimpleObject)]
pub(super) struct PackageSubscriptionConnection {
    /// The subscriptions of this page
    edges: List<PackageSubscriptionEdge>,
    /// Where the page lies
    page_info: PageInfo,
}

/// A subscription in a page.
#[derive(SimpleObject)]
pub(super) struct PackageSubscriptionEdge {
    /// Where a page after this subscription starts
    cursor: String,
    /// The subscription
    node: PackageSubscription,
}

/// Where a page lies among the others.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Whether there are more after this page
    has_next_page: bool,
    /// Whether this page starts after something
    has_previous_page: bool,
    /// The cursor of the page's first item; null when it is empty
    start_cursor: Option<String>,
    /// The cursor of the page's last item; null when it is empty
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn new<'a>(
        mut cursors: impl DoubleEndedIterator<Item = &'a String>,
        has_next_page: bool,
        has_previous_page: bool,
    ) -> Self {
        let start_cursor = cursors.next().cloned();
        let end_cursor = cursors.next_back().cloned().or_else(|| start_cursor.clone());
        Self { has_next_page, has_previous_page, start_cursor, end_cursor }
    }
}

impl UserConnection {
    pub(super) fn new(
        users: Vec<User>,
        turn: Option<Turn>,
        has_more: bool,
        after_something: bool,
    ) -> Self {
        let edge = |node: User| UserEdge { cursor: user_cursor(node.key()), node };
        let edges: Vec<_> = users.into_iter().map(edge).collect();
        let cursors = edges.iter().map(|edge| &edge.cursor);
        let page_info = PageInfo::new(cursors, has_more, after_something);
        Self { page_info, edges: List::loaded(edges, turn) }
    }
}

impl PackageSubscriptionConnection {
    pub(super) fn new(
        subscriptions: Vec<PackageSubscription>,
        turn: Option<Turn>,
        has_more: bool,
        after_something: bool,
    ) -> Self {
        let edge = |node: PackageSubscription| PackageSubscriptionEdge {
            cursor: subscription_cursor(node.start_and_id()),
            node,
        };
        let edges: Vec<_> = subscriptions.into_iter().map(edge).collect();
        let cursors = edges.iter().map(|edge| &edge.cursor);
        let page_info = PageInfo::new(cursors, has_more, after_something);
        Self { page_info, edges: List::loaded(edges, turn) }
    }
}

/// A page's length as it was asked for.
pub(super) fn page_length(first: Option<i32>) -> Result<usize, InvalidValue> {
    let first = first.unwrap_or(100);
    if !(1..=PAGE_MAX).contains(&first) {
        return Err(InvalidValue::new("first", format!("must be 1 to {PAGE_MAX}")));
    }
    Ok(usize::try_from(first).unwrap_or_default())
}

fn user_cursor(key: UserKey) -> String {
    key.0.simple().to_string()
}

fn subscription_cursor((start, id): (Timestamp, SubscriptionId)) -> String {
    format!("{}.{}", start.as_ms(), id.0.simple())
}

/// Where a page of users starts.
pub(super) fn after_user(cursor: Option<&str>) -> Result<Option<UserKey>, InvalidValue> {
    cursor.map(|cursor| uuid(cursor).map(UserKey).ok_or_else(no_cursor)).transpose()
}

/// Where a page of subscriptions starts.
pub(super) fn after_subscription(
    cursor: Option<&str>,
) -> Result<Option<(Timestamp, SubscriptionId)>, InvalidValue> {
    let read = |cursor: &str| {
        let (start, id) = cursor.split_once('.')?;
        Some((Timestamp::from_ms(start.parse().ok()?), SubscriptionId(uuid(id)?)))
    };
    cursor.map(|cursor| read(cursor).ok_or_else(no_cursor)).transpose()
}

fn uuid(text: &str) -> Option<uuid::Uuid> {
    uuid::Uuid::try_parse(text).ok()
}

fn no_cursor() -> InvalidValue {
    InvalidValue::new("after", "must be a cursor that a page has answered")
}
