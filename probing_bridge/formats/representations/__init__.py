"""Word representations: one vector a word and layer, for every different text of a corpus.

`encode` and `import` write these files, `probe` and `export` read them, and this room is the only one that knows the
layout. One HDF5 file, or shards that several processes wrote, FILE.shard0-of-2.hdf5 ..:

* `texts`: (n_bytes,) uint8, the texts (words joined by one space) in UTF-8, a line each;
* `offsets`: (n_texts + 1,) int64, the rows of each;
* `layers/<name>`: (n_words, d) float32 or float16, one contiguous block a layer;
* `means/<name>`: (d,) float32, of float16 only: what was taken off before rounding and is added again on reading;
* `digests/<name>`: (n_texts, 16) uint8, first half of the SHA-256 of each text's rows as stored, made while writing.

The root says where the vectors come from (formats.origin), the order of the layers (`layers`: "0,1,2,norm"), `dtype`,
and `first` of `of`: the number of the first text here, and how many the corpus has. Files in the layout of Liu
et al. (2019) are read too (liu_file).
"""

from probing_bridge.formats.representations.layout import WordVectors, sentence_text
from probing_bridge.formats.representations.reader import Representations
from probing_bridge.formats.representations.writer import RepresentationWriter, write_vectors

__all__ = ["RepresentationWriter", "Representations", "WordVectors", "sentence_text", "write_vectors"]
