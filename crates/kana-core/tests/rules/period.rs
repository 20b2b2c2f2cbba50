//! Reset periods: the contract's examples, and that periods tile time.

use kana_core::Timestamp;
use kana_core::period::{Period, Reset, ResetAnchor, ResetPeriod, index_at};
use proptest::prelude::*;

use crate::world::{World, limit, recording, time};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The starts of the first `count` periods.
fn starts(anchor: &str, reset: ResetPeriod, count: i64) -> Vec<String> {
    (0..count).map(|index| Period::nth(time(anchor), reset, index).start.to_string()).collect()
}

#[test]
fn a_month_that_lacks_the_day_takes_its_last_one_and_the_next_month_has_it_again() {
    assert_eq!(
        starts("2023-01-31T10:20:30.456Z", ResetPeriod::Month, 5),
        [
            "2023-01-31T10:20:30.456Z",
            "2023-02-28T10:20:30.456Z",
            "2023-03-31T10:20:30.456Z",
            "2023-04-30T10:20:30.456Z",
            "2023-05-31T10:20:30.456Z",
        ]
    );
    let february = Period::nth(time("2024-01-31T00:00:00Z"), ResetPeriod::Month, 1);
    assert_eq!(february.start, time("2024-02-29T00:00:00Z"));
    assert_eq!(february.end, Some(time("2024-03-31T00:00:00Z")));
}

#[test]
fn a_year_from_a_leap_day_starts_on_28_february_until_the_next_leap_year() {
    assert_eq!(
        starts("2024-02-29T23:59:59.999Z", ResetPeriod::Year, 5),
        [
            "2024-02-29T23:59:59.999Z",
            "2025-02-28T23:59:59.999Z",
            "2026-02-28T23:59:59.999Z",
            "2027-02-28T23:59:59.999Z",
            "2028-02-29T23:59:59.999Z",
        ]
    );
}

#[test]
fn a_day_is_24_hours_from_the_anchor() {
    assert_eq!(
        starts("2024-02-28T15:07:01.803Z", ResetPeriod::Day, 3),
        ["2024-02-28T15:07:01.803Z", "2024-02-29T15:07:01.803Z", "2024-03-01T15:07:01.803Z"]
    );
    let anchor = time("2024-02-28T15:07:01.803Z");
    let last_ms =
        Period::containing(anchor, Some(ResetPeriod::Day), anchor.saturating_add_ms(DAY_MS - 1));
    assert_eq!(last_ms, Period { start: anchor, end: Some(anchor.saturating_add_ms(DAY_MS)) });
}

#[test]
fn minutes_hours_and_weeks_have_a_fixed_length_from_the_anchor() {
    let anchor = "2024-02-28T23:59:30.250Z";
    assert_eq!(starts(anchor, ResetPeriod::Minute, 2)[1], "2024-02-29T00:00:30.250Z");
    assert_eq!(starts(anchor, ResetPeriod::Hour, 2)[1], "2024-02-29T00:59:30.250Z");
    assert_eq!(starts(anchor, ResetPeriod::Week, 2)[1], "2024-03-06T23:59:30.250Z");
}

fn by_calendar(period: ResetPeriod) -> Option<Reset> {
    Some(Reset { period, anchor: ResetAnchor::Calendar })
}

#[test]
fn calendar_periods_begin_where_a_calendar_in_utc_has_them() {
    // A Thursday.
    let started_at = time("2024-02-15T10:20:30.456Z");
    let at = time("2024-03-21T17:45:59.999Z");
    for (period, start, end) in [
        (ResetPeriod::Minute, "2024-03-21T17:45:00Z", "2024-03-21T17:46:00Z"),
        (ResetPeriod::Hour, "2024-03-21T17:00:00Z", "2024-03-21T18:00:00Z"),
        (ResetPeriod::Day, "2024-03-21T00:00:00Z", "2024-03-22T00:00:00Z"),
        (ResetPeriod::Week, "2024-03-18T00:00:00Z", "2024-03-25T00:00:00Z"),
        (ResetPeriod::Month, "2024-03-01T00:00:00Z", "2024-04-01T00:00:00Z"),
    ] {
        let expected = Period { start: time(start), end: Some(time(end)) };
        assert_eq!(
            Period::since(started_at.into(), by_calendar(period), at),
            expected,
            "{period:?}"
        );
    }
    // The first period is a part of one.
    let year = Period { start: started_at, end: Some(time("2025-01-01T00:00:00Z")) };
    assert_eq!(Period::since(started_at.into(), by_calendar(ResetPeriod::Year), at), year);
}

#[test]
fn calendar_weeks_before_1970_also_begin_on_monday() {
    let started_at = time("1969-01-01T00:00:00Z");
    let period = Period::since(
        started_at.into(),
        by_calendar(ResetPeriod::Week),
        time("1969-12-31T23:00:00Z"),
    );
    assert_eq!(period.start, time("1969-12-29T00:00:00Z"));
    assert_eq!(period.end, Some(time("1970-01-05T00:00:00Z")));
}

#[test]
fn the_part_of_a_calendar_period_in_which_a_subscription_starts_has_the_whole_budget() {
    let mut world = World::new()
        .clock("2024-01-31T23:59:00Z")
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3).monthly().by_calendar())])
        .user("124")
        .subscribed("124", "pro");
    world.record(recording("124", "api-calls").add(3)).unwrap();
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
    let shown = world.usage("124", "api-calls").current.unwrap();
    assert_eq!(shown.period.start, time("2024-01-31T23:59:00Z"));
    assert_eq!(shown.period.end, Some(time("2024-02-01T00:00:00Z")));
    world.set_clock("2024-02-01T00:00:00Z");
    assert!(world.can_use("124", "api-calls", 3).unwrap().access);
    let past = world.usage("124", "api-calls").past;
    assert_eq!(past.len(), 1);
    assert_eq!((past[0].period, past[0].consumption.used), (shown.period, 3));
}

#[test]
fn without_a_reset_period_there_is_one_period_that_never_ends() {
    let anchor = time("2024-01-31T00:00:00Z");
    let whole = Period { start: anchor, end: None };
    for at in [anchor, time("2024-02-01T00:00:00Z"), Timestamp::MAX] {
        assert_eq!(Period::containing(anchor, None, at), whole);
        assert!(whole.contains(at));
    }
    assert!(!whole.contains(anchor.saturating_add_ms(-1)));
}

#[test]
fn a_period_holds_its_start_and_not_its_end() {
    let anchor = time("2024-01-31T12:00:00Z");
    for reset in ResetPeriod::ALL {
        let period = Period::nth(anchor, reset, 0);
        let end = period.end.unwrap();
        assert!(period.contains(anchor));
        assert!(!period.contains(anchor.saturating_add_ms(-1)));
        assert!(period.contains(end.saturating_add_ms(-1)));
        assert!(!period.contains(end));
        assert_eq!(index_at(anchor, reset, end.saturating_add_ms(-1)), 0);
        assert_eq!(index_at(anchor, reset, end), 1);
    }
}

#[test]
fn periods_are_in_utc_whatever_zone_the_start_was_written_in() {
    // In Berlin it is the 1st already, in UTC still the 31st.
    let anchor = "2024-02-01T00:30:00+01:00";
    assert_eq!(
        starts(anchor, ResetPeriod::Month, 2),
        ["2024-01-31T23:30:00.000Z", "2024-02-29T23:30:00.000Z"]
    );
}

#[test]
fn the_new_period_starts_at_0_to_the_millisecond_because_it_is_another_period() {
    let mut world = World::new()
        .clock("2024-01-31T10:00:00.500Z")
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3).monthly())])
        .user("124")
        .subscribed("124", "pro");
    world.record(recording("124", "api-calls").add(3)).unwrap();
    world.set_clock("2024-02-29T10:00:00.499Z");
    assert_eq!(world.used("124", "api-calls"), 3);
    let before = world.stored();
    world.set_clock("2024-02-29T10:00:00.500Z");
    assert_eq!(world.used("124", "api-calls"), 0);
    assert_eq!(world.stored(), before, "nothing runs at the boundary");
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day, and the time of day as it is written.
fn written(at: Timestamp) -> (i64, i64, i64, String) {
    let text = at.to_string();
    let number = |range: std::ops::Range<usize>| text[range].parse().unwrap();
    (number(0..4), number(5..7), number(8..10), text[10..].to_owned())
}

fn any_reset() -> impl Strategy<Value = ResetPeriod> {
    proptest::sample::select(ResetPeriod::ALL.to_vec())
}

/// Any instant of the years 0002 to 9997, so that the periods around it lie within what a
/// timestamp can hold. Ends of months, where calendars are hard, come up often.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    let month_end =
        (2_i64..9998, 1_i64..13, 28_i64..32, 0..DAY_MS).prop_map(|(year, month, day, ms)| {
            let day = day.min(days_in_month(year, month));
            time(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z")).saturating_add_ms(ms)
        });
    let (first, last) = (time("0002-01-01T00:00:00Z"), time("9997-12-31T00:00:00Z"));
    prop_oneof![(first.as_ms()..last.as_ms()).prop_map(Timestamp::from_ms), month_end]
}

proptest! {
    #[test]
    fn every_instant_lies_in_the_period_that_contains_it(
        anchor in any_instant(), reset in any_reset(), at in any_instant(),
    ) {
        let period = Period::containing(anchor, Some(reset), at);
        prop_assert!(period.contains(at), "{:?} of {}", period, anchor);
        prop_assert_eq!(period, Period::nth(anchor, reset, index_at(anchor, reset, at)));
        prop_assert_eq!(index_at(anchor, reset, at) < 0, at < anchor);
    }

    #[test]
    fn a_period_ends_where_the_next_one_starts(
        anchor in any_instant(), reset in any_reset(), at in any_instant(),
    ) {
        let index = index_at(anchor, reset, at);
        let period = Period::nth(anchor, reset, index);
        let end = period.end.unwrap();
        prop_assert!(period.start < end);
        prop_assert_eq!(end, Period::nth(anchor, reset, index + 1).start);
        prop_assert_eq!(index_at(anchor, reset, period.start), index);
        prop_assert_eq!(index_at(anchor, reset, end.saturating_add_ms(-1)), index);
        prop_assert_eq!(index_at(anchor, reset, end), index + 1);
    }

    #[test]
    fn a_calendar_step_keeps_the_anchors_day_and_time_where_the_month_has_the_day(
        anchor in any_instant(), yearly in any::<bool>(), at in any_instant(),
    ) {
        let (reset, months) =
            if yearly { (ResetPeriod::Year, 12) } else { (ResetPeriod::Month, 1) };
        let index = index_at(anchor, reset, at);
        let (from_year, from_month, from_day, from_time) = written(anchor);
        let month_number = from_year * 12 + (from_month - 1) + index * months;
        let (year, month) = (month_number.div_euclid(12), month_number.rem_euclid(12) + 1);
        let day = from_day.min(days_in_month(year, month));
        let start = Period::nth(anchor, reset, index).start;
        prop_assert_eq!(written(start), (year, month, day, from_time));
    }
}

/// Any instant, those within a year or so of the first and the last one as often as the rest.
fn any_instant_to_the_ends() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_ms(), Timestamp::MAX.as_ms());
    let ms = prop_oneof![
        first..=last,
        first..=first + 400 * DAY_MS,
        last - 400 * DAY_MS..=last,
        Just(first),
        Just(last),
    ];
    ms.prop_map(Timestamp::from_ms)
}

proptest! {
    #[test]
    fn near_the_ends_of_time_periods_are_cut_and_nothing_overflows(
        anchor in any_instant_to_the_ends(), reset in any_reset(), at in any_instant_to_the_ends(),
    ) {
        let index = index_at(anchor, reset, at);
        let period = Period::containing(anchor, Some(reset), at);
        prop_assert_eq!(period, Period::nth(anchor, reset, index));
        prop_assert!(period.start <= at, "{:?} of {}", period, anchor);
        // The last instant has none after it, so the period that is cut there seems to end at it.
        let end = period.end.unwrap();
        prop_assert!(at < end || end == Timestamp::MAX, "{:?} of {}", period, anchor);
    }

    #[test]
    fn no_index_is_too_large_for_a_period(
        anchor in any_instant_to_the_ends(), reset in any_reset(), index in any::<i64>(),
    ) {
        let period = Period::nth(anchor, reset, index);
        prop_assert!(period.start <= period.end.unwrap());
    }
}

proptest! {
    #[test]
    fn calendar_periods_tile_the_time_of_a_subscription_from_its_start(
        started_at in any_instant(), period in any_reset(), ms in 0..800 * DAY_MS,
    ) {
        let reset = Reset { period, anchor: ResetAnchor::Calendar };
        let at = started_at.saturating_add_ms(ms);
        let here = Period::since(started_at.into(), Some(reset), at);
        prop_assert!(here.contains(at) && here.start >= started_at, "{:?}", here);
        let next = Period::since(started_at.into(), Some(reset), here.end.unwrap());
        prop_assert_eq!(Some(next.start), here.end);
        // Whoever subscribes in the same period has the same end.
        let later = Period::since(at.into(), Some(reset), at);
        prop_assert_eq!((later.start, later.end), (at, here.end));
        let (year, month, day, time) = written(here.end.unwrap());
        let monday = here.end.unwrap().as_ms().div_euclid(DAY_MS).rem_euclid(7) == 4;
        match period {
            ResetPeriod::Minute => prop_assert!(time.ends_with(":00.000Z")),
            ResetPeriod::Hour => prop_assert!(time.ends_with(":00:00.000Z")),
            _ => prop_assert_eq!(&time, "T00:00:00.000Z"),
        }
        prop_assert!(period != ResetPeriod::Week || monday);
        prop_assert!(period != ResetPeriod::Month || day == 1);
        prop_assert!(period != ResetPeriod::Year || (month, day) == (1, 1), "{}", year);
    }
}
