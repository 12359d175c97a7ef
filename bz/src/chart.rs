//! `bz chart`: numbers as a picture. It is drawn here, inside the sandbox, with the script's rights; the core gets a file.

mod font;

use crate::BzError;
use bartizan_proto::card::Colour;

/// Points across and down.
const SIZE: (usize, usize) = (800, 400);
/// Most numbers in one chart.
const MOST: usize = 60;
/// Points beside, above and below what is drawn.
const LEFT: usize = 96;
const RIGHT: usize = 16;
const TOP: usize = 40;
const BOTTOM: usize = 36;
/// Points of the picture for one of a letter.
const SCALE: usize = 2;
/// How the numbers on the left may be apart.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// What colours there are, by their place in the file's palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Paper,
    Grid,
    Text,
    Data,
}

/// How the numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A bar for each.
    Bar,
    /// A line from one to the next.
    Line,
}

/// A number and what stands below it.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    label: String,
    value: f64,
}

/// The chart of lines with a label and a number each, as a PNG file.
pub(crate) fn png(lines: &str, kind: Kind, title: &str, colour: Colour) -> Result<Vec<u8>, BzError> {
    let points = read(lines)?;
    let mut canvas = Canvas::default();
    canvas.draw(&points, kind, title);
    canvas.encode(colour).map_err(|error| BzError::Usage(format!("the chart cannot be drawn: {error}")))
}

/// A label, and the number as the last word of the line; or the number alone.
fn read(lines: &str) -> Result<Vec<Point>, BzError> {
    let mut points = Vec::new();
    for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || BzError::Usage(format!("line {}: write a label and a number, such as: web-1 12.5", number + 1));
        let (label, value) = line.trim().rsplit_once(char::is_whitespace).unwrap_or(("", line.trim()));
        // Larger ones cannot be told apart in a picture, and their differences would overflow.
        let value: f64 = value.parse().ok().filter(|value: &f64| value.abs() <= 1e15).ok_or_else(wrong)?;
        points.push(Point { label: label.trim().to_owned(), value });
    }
    match points.len() {
        0 => Err(BzError::Usage("there are no numbers to draw".to_owned())),
        1..=MOST => Ok(points),
        more => Err(BzError::Usage(format!("a chart has at most {MOST} numbers, not {more}"))),
    }
}

/// The lowest and the highest number on the left, and how far they are apart: round ones, around all values and 0.
fn scale(points: &[Point]) -> (f64, f64, f64) {
    let low = points.iter().map(|point| point.value).fold(0.0, f64::min);
    let high = points.iter().map(|point| point.value).fold(0.0, f64::max);
    let span = if high - low > 1e-9 { high - low } else { 1.0 };
    let magnitude = 10_f64.powf((span / 5.0).log10().floor());
    let enough = |step: &f64| step * magnitude * 5.0 >= span - span * 1e-9;
    let step = STEPS.iter().copied().find(enough).unwrap_or(10.0) * magnitude;
    let (bottom, top) = ((low / step).floor() * step, (high / step).ceil() * step);
    (bottom, if top > bottom { top } else { bottom + span }, step)
}

/// A number as it stands on the left, in at most seven characters or so.
fn written(value: f64) -> String {
    let (value, unit) = match value.abs() {
        large if large >= 1e12 => (value / 1e12, "T"),
        large if large >= 1e9 => (value / 1e9, "G"),
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{unit}", if text == "-0" { "0" } else { text })
}

/// Points, row by row.
struct Canvas(Vec<u8>);

impl Default for Canvas {
    fn default() -> Self {
        Self(vec![Ink::Paper as u8; SIZE.0 * SIZE.1])
    }
}

impl Canvas {
    fn draw(&mut self, points: &[Point], kind: Kind, title: &str) {
        let (bottom, top, step) = scale(points);
        let (width, height) = (SIZE.0 - LEFT - RIGHT, SIZE.1 - TOP - BOTTOM);
        let y = |value: f64| TOP + whole((top - value) / (top - bottom) * to_f64(height));
        self.text(LEFT, (TOP - font::HEIGHT * SCALE) / 2, title, (width / (font::WIDTH * SCALE)).max(1));
        for number in 0..=whole((top - bottom) / step) {
            let value = bottom + to_f64(number) * step;
            let text = written(value);
            let room = text.chars().count() * font::WIDTH * SCALE;
            let middle = y(value).saturating_sub(font::HEIGHT * SCALE / 2);
            self.text(LEFT.saturating_sub(room + 6), middle, &text, 8);
            self.fill((LEFT, y(value)), (width, 1), Ink::Grid);
        }
        let slot = to_f64(width) / to_f64(points.len());
        let x = |at: usize| LEFT + whole(slot * (to_f64(at) + 0.5));
        for (at, point) in points.iter().enumerate() {
            let (from, to) = (y(point.value.max(0.0)), y(point.value.min(0.0)));
            match kind {
                Kind::Bar => {
                    let wide = whole(slot * 0.7).max(2);
                    self.fill((x(at) - wide / 2, from), (wide, (to - from).max(1)), Ink::Data);
                }
                Kind::Line => {
                    self.fill((x(at).saturating_sub(3), y(point.value).saturating_sub(3)), (7, 7), Ink::Data);
                    if let Some(next) = points.get(at + 1) {
                        self.line((x(at), y(point.value)), (x(at + 1), y(next.value)));
                    }
                }
            }
        }
        self.fill((LEFT, y(0.0)), (width, 2), Ink::Text);
        self.labels(points, slot, x);
    }

    /// Below the points, as many as there is room for.
    fn labels(&mut self, points: &[Point], slot: f64, x: impl Fn(usize) -> usize) {
        let letter = font::WIDTH * SCALE;
        let longest = points.iter().map(|point| point.label.chars().count()).max().unwrap_or(0).min(12);
        // So many slots has a label for itself.
        let every = whole((to_f64((longest + 1) * letter) / slot).ceil()).max(1);
        for (at, point) in points.iter().enumerate().step_by(every) {
            let room = whole(slot * to_f64(every)) / letter;
            let shown = point.label.chars().count().min(room.max(1));
            let half = shown * letter / 2;
            self.text(x(at).saturating_sub(half), SIZE.1 - BOTTOM + 10, &point.label, shown);
        }
    }

    fn text(&mut self, left: usize, top: usize, text: &str, most: usize) {
        for (at, c) in text.chars().take(most).enumerate() {
            for (column, bits) in font::columns(c).into_iter().enumerate() {
                for row in (0..font::HEIGHT).filter(|row| bits >> row & 1 == 1) {
                    let corner = (left + (at * font::WIDTH + column) * SCALE, top + row * SCALE);
                    self.fill(corner, (SCALE, SCALE), Ink::Text);
                }
            }
        }
    }

    /// A line, three points thick.
    fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, at: usize| {
            let part = to_f64(at) / to_f64(steps);
            whole(to_f64(a) + (to_f64(b) - to_f64(a)) * part)
        };
        for at in 0..=steps {
            let (x, y) = (between(from.0, to.0, at), between(from.1, to.1, at));
            self.fill((x.saturating_sub(1), y.saturating_sub(1)), (3, 3), Ink::Data);
        }
    }

    /// A rectangle; what of it is outside is left out.
    fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), ink: Ink) {
        for y in top..(top + height).min(SIZE.1) {
            for x in left..(left + width).min(SIZE.0) {
                if let Some(point) = self.0.get_mut(y * SIZE.0 + x) {
                    *point = ink as u8;
                }
            }
        }
    }

    fn encode(&self, colour: Colour) -> Result<Vec<u8>, png::EncodingError> {
        let data = match colour {
            Colour::Plain => [0x2f, 0x6f, 0xd6],
            Colour::Good => [0x2e, 0x9e, 0x5b],
            Colour::Warning => [0xe0, 0xa8, 0x00],
            Colour::Danger => [0xd1, 0x37, 0x3a],
        };
        let palette = [[0xff, 0xff, 0xff], [0xdd, 0xdf, 0xe3], [0x33, 0x36, 0x3b], data];
        let side = |points: usize| u32::try_from(points).unwrap_or(u32::MAX);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side(SIZE.0), side(SIZE.1));
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.concat());
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.0)?;
        writer.finish()?;
        Ok(file)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the picture, rounded")]
fn whole(value: f64) -> usize {
    value.round().clamp(0.0, 1e6) as usize
}

#[expect(clippy::cast_precision_loss, reason = "no more than the points of a picture")]
fn to_f64(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: &str, kind: Kind) -> Vec<u8> {
        let file = png(lines, kind, "Disks", Colour::Plain).expect("a chart");
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG file");
        let mut points = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut points).expect("a picture");
        assert_eq!((info.width as usize, info.height as usize), SIZE);
        points
    }

    /// How many points of data a column has.
    fn column(points: &[u8], x: usize) -> usize {
        (0..SIZE.1).filter(|y| points[y * SIZE.0 + x] == Ink::Data as u8).count()
    }

    #[test]
    fn a_bar_is_as_high_as_its_number() {
        let points = drawn("a 10\nb 20\nc 0", Kind::Bar);
        let slot = (SIZE.0 - LEFT - RIGHT) / 3;
        let at = |bar: usize| column(&points, LEFT + slot * bar + slot / 2);
        let height = SIZE.1 - TOP - BOTTOM;
        assert!(at(0).abs_diff(height / 2) <= 4, "{}", at(0));
        assert!(at(1).abs_diff(height) <= 4, "{}", at(1));
        assert!(at(2) <= 4, "{}", at(2));
    }

    #[test]
    fn a_line_goes_through_its_numbers_also_below_zero() {
        let points = drawn("-5\n5\n-5\n", Kind::Line);
        for x in LEFT + 130..SIZE.0 - RIGHT - 130 {
            assert!(column(&points, x) > 0, "{x}");
        }
    }

    #[test]
    fn lines_have_a_label_and_a_number_and_there_are_not_too_many() {
        assert_eq!(read("web one\t12.5\n\n3").expect("two")[0], Point { label: "web one".to_owned(), value: 12.5 });
        for bad in ["", "\n", "a b", "a NaN", "a inf", "a 1e300", "12 x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"1\n".repeat(MOST)).is_ok() && read(&"1\n".repeat(MOST + 1)).is_err());
        assert!(drawn("only one\u{1f600} 0", Kind::Bar).contains(&(Ink::Text as u8)));
    }

    #[test]
    fn the_numbers_on_the_left_are_round() {
        let of = |values: &[f64]| {
            scale(&values.iter().map(|value| Point { label: String::new(), value: *value }).collect::<Vec<_>>())
        };
        assert_eq!(of(&[3.0, 97.0]), (0.0, 100.0, 20.0));
        assert_eq!(of(&[-1.0, 1.0]), (-1.0, 1.0, 0.5));
        assert_eq!(of(&[0.0]).1, 1.0);
        assert_eq!([written(12_500_000.0), written(0.25), written(-0.0), written(-3.0)], ["12.5M", "0.25", "0", "-3"]);
    }
}
