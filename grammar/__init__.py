"""The grammars of the input languages, one `.lark` file each; `mlbayes.language.parse` reads them."""
