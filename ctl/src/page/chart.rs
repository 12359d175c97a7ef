//! When it happened: a picture of how many commands there were in each stretch of time, by what became of them, and the same as a
//! table for who does not see it. A picture of our own making, without a script.

use super::html::Html;
use super::row::{Row, Verdict};
use jiff::Timestamp;

/// Most bars.
const MOST_BARS: i64 = 48;

/// How long a bar may stand for, in seconds.
const STEPS: [(i64, &str); 14] = [
    (60, "minute"),
    (300, "5 minutes"),
    (900, "15 minutes"),
    (3600, "hour"),
    (3 * 3600, "3 hours"),
    (6 * 3600, "6 hours"),
    (12 * 3600, "12 hours"),
    (86_400, "day"),
    (2 * 86_400, "2 days"),
    (7 * 86_400, "week"),
    (28 * 86_400, "4 weeks"),
    (91 * 86_400, "13 weeks"),
    (364 * 86_400, "52 weeks"),
    (3640 * 86_400, "10 years"),
];

/// The picture's size in its own units.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 140.0;
/// What stands below and above the bars.
const BELOW: f64 = 20.0;
const ABOVE: f64 = 14.0;

/// Counts for each bar, in the order of [`Verdict::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bars {
    step: (i64, &'static str),
    /// When the first begins, in seconds since 1970.
    begin: i64,
    counts: Vec<[u64; 5]>,
}

impl Bars {
    fn of<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<Self> {
        let second = |row: &Row| row.at.parse::<Timestamp>().ok().map(Timestamp::as_second);
        let points: Vec<(i64, Verdict)> = rows.filter_map(|row| Some((second(row)?, row.verdict))).collect();
        let (first, last) = (points.iter().map(|(at, _)| *at).min()?, points.iter().map(|(at, _)| *at).max()?);
        let fits = |step: i64| last.div_euclid(step) - first.div_euclid(step) < MOST_BARS;
        let step = STEPS.into_iter().find(|(seconds, _)| fits(*seconds))?;
        let bar = |at: i64| usize::try_from(at.div_euclid(step.0) - first.div_euclid(step.0)).unwrap_or(0);
        let mut counts = vec![[0; 5]; bar(last) + 1];
        for (at, verdict) in points {
            let kind = Verdict::ALL.iter().position(|one| *one == verdict).unwrap_or(0);
            counts[bar(at)][kind] += 1;
        }
        Some(Self { step, begin: first.div_euclid(step.0) * step.0, counts })
    }

    fn time(&self, bar: usize) -> String {
        let second = self.begin + self.step.0 * i64::try_from(bar).unwrap_or(0);
        Timestamp::from_second(second).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
    }
}

/// The picture and its table; nothing where there is nothing to show.
pub(super) fn chart<'r>(rows: impl Iterator<Item = &'r Row>) -> Html {
    let mut html = Html::default();
    let Some(bars) = Bars::of(rows) else { return html };
    html.raw("<section aria-labelledby=\"when\">\n<h2 id=\"when\">When</h2>\n");
    picture(&mut html, &bars);
    table(&mut html, &bars);
    html.raw("</section>\n");
    html
}

#[allow(clippy::cast_precision_loss, reason = "counts of a picture")]
fn picture(html: &mut Html, bars: &Bars) {
    let most = bars.counts.iter().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or(1).max(1);
    let all: u64 = bars.counts.iter().flatten().sum();
    let (room, wide) = (HEIGHT - BELOW - ABOVE, WIDTH / bars.counts.len().max(12) as f64);
    html.raw("<svg class=\"chart\" viewBox=\"0 0 960 140\" role=\"img\" aria-labelledby=\"chart-name chart-words\">\n<title id=\"chart-name\">Commands over time</title>")
        .raw("<desc id=\"chart-words\">")
        .number(all)
        .raw(" commands, at most ")
        .number(most)
        .raw(" in one ")
        .text(bars.step.1)
        .raw("; the table below has the same figures</desc>\n");
    // Refused ones can be told from the others without their colour.
    html.raw("<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">")
        .raw("<rect class=\"refused\" width=\"6\" height=\"6\"/><rect class=\"paper\" width=\"2\" height=\"6\"/></pattern></defs>\n")
        .raw("<line class=\"axis\" x1=\"0\" y1=\"120\" x2=\"960\" y2=\"120\"/>\n");
    for (number, counts) in bars.counts.iter().enumerate() {
        let mut top = HEIGHT - BELOW;
        for (verdict, count) in Verdict::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0) {
            let high = room * *count as f64 / most as f64;
            top -= high;
            html.raw("<rect class=\"").text(verdict.name()).raw("\"");
            if verdict == Verdict::Refused {
                html.raw(" fill=\"url(#hatch)\"");
            }
            html.raw(" x=\"").point(wide * number as f64 + 1.0).raw("\" y=\"").point(top);
            html.raw("\" width=\"").point((wide - 2.0).max(1.0)).raw("\" height=\"").point(high).raw("\"><title>");
            html.number(*count)
                .raw(" ")
                .text(verdict.name())
                .raw(", ")
                .text(&bars.time(number))
                .raw("</title></rect>\n");
        }
    }
    let last = bars.time(bars.counts.len());
    html.raw("<text x=\"0\" y=\"136\">").text(&short(&bars.time(0))).raw("</text>");
    html.raw("<text x=\"").point((wide * bars.counts.len() as f64).max(260.0)).raw("\" y=\"136\" text-anchor=\"end\">");
    html.text(&short(&last)).raw("</text><text x=\"0\" y=\"10\">at most ").number(most).raw(" a ").text(bars.step.1);
    html.raw("</text>\n</svg>\n<ul class=\"legend\">");
    for verdict in Verdict::ALL {
        html.raw("<li><span class=\"key ").text(verdict.name()).raw("\"></span>").text(verdict.name()).raw("</li>");
    }
    html.raw("</ul>\n");
}

fn table(html: &mut Html, bars: &Bars) {
    html.raw("<details><summary>The same as a table</summary>\n<table><caption>Commands a ").text(bars.step.1);
    html.raw(", by what became of them</caption>\n<thead><tr><th scope=\"col\">From</th>");
    for verdict in Verdict::ALL {
        html.raw("<th scope=\"col\">").text(verdict.name()).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (number, counts) in bars.counts.iter().enumerate().filter(|(_, counts)| counts.iter().any(|count| *count > 0)) {
        html.raw("<tr><th scope=\"row\">").time(&bars.time(number)).raw("</th>");
        for count in counts {
            html.raw("<td class=\"number\">").number(*count).raw("</td>");
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></details>\n");
}

fn short(time: &str) -> String {
    time.get(..16).unwrap_or_default().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: &str, success: bool) -> Row {
        let fields = serde_json::json!({ "event": "decision", "command": "!x", "success": success });
        Row::begun(fields.as_object().expect("an object"), 1, at).expect("a row")
    }

    #[test]
    fn bars_are_as_wide_as_it_takes_and_lose_nothing() {
        let rows: Vec<Row> = (0..100)
            .map(|day| row(&format!("2026-{:02}-{:02}T00:00:00.000Z", 1 + day / 28, 1 + day % 28), day % 3 == 0))
            .collect();
        let bars = Bars::of(rows.iter()).expect("bars");
        assert_eq!(bars.step.1, "week");
        assert_eq!(bars.counts.iter().flatten().sum::<u64>(), 100);
        let one = Bars::of([row("2026-01-01T00:00:59.000Z", true)].iter()).expect("a bar");
        assert_eq!((one.step.1, one.counts.len(), one.time(0).as_str()), ("minute", 1, "2026-01-01T00:00:00.000Z"));
        assert_eq!(Bars::of([].iter()), None);
        assert_eq!(Bars::of([row("no time", true)].iter()), None);
        let apart = [row("1970-01-01T00:00:00Z", true), row("9999-01-01T00:00:00Z", true)];
        assert!(Bars::of(apart.iter()).is_none_or(|bars| bars.counts.len() <= 48), "not endless");
    }

    #[test]
    fn the_picture_has_a_name_a_description_and_the_same_as_a_table() {
        let rows = [row("2026-01-01T00:00:00.000Z", true), row("2026-01-01T01:00:00.000Z", false)];
        let text = chart(rows.iter()).finished();
        for part in ["role=\"img\"", "<desc", "2 commands", "<caption>", "fill=\"url(#hatch)\"", "scope=\"row\""] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<script") && !text.contains("style="), "{text}");
    }
}
