//! Fractions into whole numbers, without a way to wrap, to panic or to come out negative.

/// The whole number below `value`: 0 for what is negative or not a number, the largest for what is too large.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate; that is meant")]
pub(crate) fn floor_u32(value: f64) -> u32 {
    value as u32
}

/// The whole number above `value`, with the same ends.
pub(crate) fn ceil_u32(value: f64) -> u32 {
    floor_u32(value.ceil())
}

/// The whole number below `value`, with the same ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate; that is meant")]
pub(crate) fn floor_u64(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_to_the_ends() {
        assert_eq!([floor_u32(-1.5), floor_u32(f64::NAN), floor_u32(1e30), floor_u32(2.9)], [0, 0, u32::MAX, 2]);
        assert_eq!([ceil_u32(0.1), ceil_u32(-0.1)], [1, 0]);
        assert_eq!([floor_u64(f64::INFINITY), floor_u64(7.2)], [u64::MAX, 7]);
    }
}
