"""A small web shop that keeps real books: something honest to put load on."""
