//! The quantities of a subscription as text, the same in every engine: the oldest that is known and its
//! changes, like `[2,[[1704067200000,5]]]`. Without a text it was always one.

use kana_core::Timestamp;
use kana_core::quantity::{Quantities, Quantity};

use crate::error::StoreError;

/// The oldest quantity, and since when there was which other one.
pub(crate) type StoredQuantities = (i64, Vec<(i64, i64)>);

/// Returns the text of the column; `None` where it was always one.
pub(crate) fn quantities_to_text(quantities: &Quantities) -> Option<String> {
    if quantities.is_always_one() {
        return None;
    }
    let change = |(since, quantity): &(Timestamp, Quantity)| {
        format!("[{},{}]", since.as_ms(), quantity.get())
    };
    let changes: Vec<String> = quantities.changes().iter().map(change).collect();
    Some(format!("[{},[{}]]", quantities.oldest().get(), changes.join(",")))
}

/// Reads the text of the column.
pub(crate) fn quantities_from_text(text: Option<&str>) -> Result<Quantities, StoreError> {
    match text {
        None => Ok(Quantities::ONE),
        Some(text) => quantities_from(serde_json::from_str(text)?),
    }
}

/// Reads what the text says.
pub(crate) fn quantities_from(
    (oldest, changes): StoredQuantities,
) -> Result<Quantities, StoreError> {
    let quantity = |quantity| Quantity::new("stored quantity", quantity);
    let changes = changes
        .into_iter()
        .map(|(since, changed)| Ok((Timestamp::from_ms(since), quantity(changed)?)));
    let changes: Vec<(Timestamp, Quantity)> = changes.collect::<Result<_, StoreError>>()?;
    let problem = || StoreError::Unreadable("the quantities are out of order".to_owned());
    Quantities::from_stored(quantity(oldest)?, changes).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(quantity: i64) -> Quantity {
        Quantity::new("quantity", quantity).unwrap()
    }

    #[test]
    fn quantities_are_read_as_they_were_written() {
        assert_eq!(quantities_to_text(&Quantities::ONE), None);
        assert_eq!(quantities_from_text(None).unwrap(), Quantities::ONE);
        let mut quantities = Quantities::of(quantity(1_000_000));
        assert_eq!(quantities_to_text(&quantities).as_deref(), Some("[1000000,[]]"));
        for n in 1..40 {
            let text = quantities_to_text(&quantities);
            assert_eq!(quantities_from_text(text.as_deref()).unwrap(), quantities);
            quantities.change(quantity(n), Timestamp::from_ms(n * 1000 - 5000));
        }
        let mut back = Quantities::ONE;
        back.change(quantity(3), Timestamp::from_ms(5));
        back.change(quantity(1), Timestamp::from_ms(7));
        assert_eq!(quantities_to_text(&back).as_deref(), Some("[1,[[5,3],[7,1]]]"));
    }

    #[test]
    fn quantities_that_kana_has_not_written_are_an_error() {
        let long =
            format!("[1,[{}]]", (0..25).map(|n| format!("[{n},2]")).collect::<Vec<_>>().join(","));
        for bad in
            ["", "1", "[1]", "[0,[]]", "[1000001,[]]", "[1,[[5,2],[5,3]]]", "[1,[[5,0]]]", &long]
        {
            assert!(quantities_from_text(Some(bad)).is_err(), "{bad}");
        }
    }
}
