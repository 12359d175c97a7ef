//! A receipt that somebody may have written (`audit/src/receipt.rs`): verifying ends in a verdict, whatever it holds, and what
//! verifies under the known key is what was signed.

use bartizan_audit::verify_receipt;

const RECEIPT: &str = include_str!("../../../audit/tests/receipt-1.json");

/// # Panics
/// When something else than what was signed verifies.
pub fn target(data: &[u8]) {
    let Ok(written) = verify_receipt(RECEIPT.as_bytes(), None) else { panic!("the receipt of the first version") };
    if let Ok(receipt) = verify_receipt(data, Some(&written.key)) {
        let text = String::from_utf8_lossy(data);
        assert_eq!(text.trim_end_matches(['\r', '\n']), RECEIPT.trim_end(), "nobody has the key");
        assert_eq!(receipt, written);
    }
    let _verdict = verify_receipt(data, None);
}

/// A receipt of the first version, whole and in part.
pub fn corpus() -> Vec<Vec<u8>> {
    vec![RECEIPT.into(), RECEIPT.trim_end().into(), RECEIPT.as_bytes()[..RECEIPT.len() / 2].to_vec()]
}
