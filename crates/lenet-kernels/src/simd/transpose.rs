//! The transpose of 4×4 values, which turns rows of maps into pixels and back.

/// Transposes four rows of four values.
#[inline(always)]
pub(crate) fn transpose(rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    let [a, b, c, d] = rows;
    // The compiler finds these shuffles too, but not between bounds checks.
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        let [a, b, c, d] = [*a, *b, *c, *d].map(pulp::bytemuck::cast);
        let (ab, cd) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpacklo_ps(c, d));
        let (upper_ab, upper_cd) = (sse._mm_unpackhi_ps(a, b), sse._mm_unpackhi_ps(c, d));
        return [
            sse._mm_movelh_ps(ab, cd),
            sse._mm_movehl_ps(cd, ab),
            sse._mm_movelh_ps(upper_ab, upper_cd),
            sse._mm_movehl_ps(upper_cd, upper_ab),
        ]
        .map(pulp::bytemuck::cast);
    }
    [
        [a[0], b[0], c[0], d[0]],
        [a[1], b[1], c[1], d[1]],
        [a[2], b[2], c[2], d[2]],
        [a[3], b[3], c[3], d[3]],
    ]
}

/// The beginnings of groups of four that cover `0..count`; the last may overlap the one before it.
#[inline(always)]
pub(crate) fn fours(count: usize) -> impl Iterator<Item = usize> {
    (0..count.div_ceil(4)).map(move |group| (4 * group).min(count - 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows = [
            [0.0, 1.0, 2.0, 3.0],
            [4.0, 5.0, 6.0, 7.0],
            [8.0; 4],
            [9.0; 4],
        ];
        let expected = [
            [0.0, 4.0, 8.0, 9.0],
            [1.0, 5.0, 8.0, 9.0],
            [2.0, 6.0, 8.0, 9.0],
            [3.0, 7.0, 8.0, 9.0],
        ];
        assert_eq!(transpose(rows.each_ref()), expected);
    }
}
