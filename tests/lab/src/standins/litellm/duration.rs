//! How long a key lives: LiteLLM's spelling of durations.

use jiff::{SignedDuration, Timestamp};

use super::keys::Refusal;

/// `30d` from now; `None` never expires. Units as in LiteLLM's `duration_in_seconds`.
pub(super) fn expiry(duration: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = duration else { return Ok(None) };
    let seconds = || {
        let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
        let unit: i64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            "mo" => 2_592_000,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(unit)
    };
    let end = seconds().and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
    end.map(Some).ok_or_else(|| Refusal {
        status: 500,
        message: format!("Unsupported duration unit, passed duration: {text}"),
        kind: "internal_server_error",
        param: Some("None"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_litellms() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, end) in [
            ("90s", "2026-01-01T00:01:30Z"),
            ("5m", "2026-01-01T00:05:00Z"),
            ("72h", "2026-01-04T00:00:00Z"),
            ("3d", "2026-01-04T00:00:00Z"),
            ("1w", "2026-01-08T00:00:00Z"),
        ] {
            assert_eq!(expiry(Some(text), now).unwrap().unwrap().to_string(), end, "{text}");
        }
        assert_eq!(expiry(None, now), Ok(None));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[0-9]{0,25}[a-z]{0,3}|.*") {
            if let Err(refusal) = expiry(Some(&text), Timestamp::now()) {
                prop_assert_eq!(refusal.status, 500);
            }
        }
    }
}
