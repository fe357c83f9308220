//! How steeply something grows.

/// The median of the slopes between all pairs of points (Theil 1950, Sen 1968): a few points that
/// are far off change nothing. 0 where there are not two points.
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes: Vec<f64> = points
        .iter()
        .enumerate()
        .flat_map(|(place, from)| points[place + 1..].iter().map(move |to| (from, to)))
        .filter(|(from, to)| to.0 > from.0)
        .map(|(from, to)| (to.1 - from.1) / (to.0 - from.0))
        .collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn outliers_do_not_bend_it() {
        let line = |number: u32| (f64::from(number), 3.0 + 2.0 * f64::from(number));
        let mut points: Vec<_> = (0..20).map(line).collect();
        assert!((slope(&points) - 2.0).abs() < 1e-9);
        points[4].1 = 1e6;
        points[15].1 = -1e6;
        assert!((slope(&points) - 2.0).abs() < 1e-9);
        assert!(slope(&points[..1]).abs() < 1e-9);
        assert!(slope(&[]).abs() < 1e-9);
    }
}
