"""From words to the pieces that a Transformer sees and back to one vector a word; of no toolkit."""
