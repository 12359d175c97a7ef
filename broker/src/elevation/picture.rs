//! A text as a QR code: as a PNG picture for chat, and in half blocks for a terminal.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code.
const BORDER: i32 = 4;
/// Points of the picture for one module.
const SCALE: i32 = 6;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The text does not fit.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// The encoder says no.
    #[error(transparent)]
    Png(#[from] png::EncodingError),
}

/// As a PNG file.
///
/// # Errors
/// [`PictureError`].
pub fn png(text: &str) -> Result<Vec<u8>, PictureError> {
    let code = code(text)?;
    let side = (code.size() + 2 * BORDER) * SCALE;
    let mut points = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let dark = code.get_module(x / SCALE - BORDER, y / SCALE - BORDER);
            points.push(if dark { 0 } else { 255 });
        }
    }
    let side = side.unsigned_abs();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&points)?;
    writer.finish()?;
    Ok(file)
}

/// For a terminal: light modules are drawn, as most terminals are dark; a camera takes either.
///
/// # Errors
/// [`PictureError::TooLong`].
pub fn blocks(text: &str) -> Result<String, PictureError> {
    let code = code(text)?;
    let mut out = String::new();
    let mut y = -BORDER;
    while y < code.size() + BORDER {
        for x in -BORDER..code.size() + BORDER {
            out.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            });
        }
        out.push('\n');
        y += 2;
    }
    Ok(out)
}

fn code(text: &str) -> Result<QrCode, PictureError> {
    QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| PictureError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_and_the_blocks_show_the_same_code() {
        let picture = png("otpauth://totp/x").expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().expect("a PNG file");
        let mut points = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut points).expect("a picture");
        let blocks = blocks("otpauth://totp/x").expect("blocks");
        let width = blocks.lines().next().expect("a line").chars().count();
        assert_eq!(width * 6, usize::try_from(info.width).expect("small"));
        let dark = |x: usize, y: usize| points[(y * 6 + 3) * info.width as usize + x * 6 + 3] == 0;
        for (row, line) in blocks.lines().enumerate() {
            for (x, block) in line.chars().enumerate() {
                let upper = matches!(block, ' ' | '▄');
                assert_eq!(upper, dark(x, row * 2), "{x} {row}");
            }
        }
        assert!(png(&"x".repeat(5000)).is_err());
    }
}
