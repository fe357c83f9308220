//! From OpenMetrics to the older text format. Samples are the same; in the older one the name of a
//! counter's family has its `_total`, and there is neither unit nor end.

/// `open_metrics` in the older form.
pub(super) fn of(open_metrics: &str) -> String {
    let mut plain = String::with_capacity(open_metrics.len() + 1_024);
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let suffix = match kind {
                "counter" => "_total",
                _ => "",
            };
            if let Some((_, text)) = help.take() {
                plain.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            plain.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        plain.push_str(line);
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn only_the_heads_of_counters_differ() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n\
                    # HELP b Now.\n# TYPE b gauge\nb 2.0\n# EOF\n";
        let plain = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n\
                     # HELP b Now.\n# TYPE b gauge\nb 2.0\n";
        assert_eq!(of(open), plain);
    }
}
