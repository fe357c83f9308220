//! The layer on disk: a tantivy index, whose unions of words are ranked by block-max WAND (Ding and
//! Suel 2011), so that the cost of a search grows with what could still be among the best rather
//! than with how common its words are.

mod lengths;
mod schema;
mod view;
mod watermark;
mod writer;

pub use view::DiskView;
pub use watermark::Watermark;
pub use writer::DiskWriter;
