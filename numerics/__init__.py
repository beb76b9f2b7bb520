"""placeholder"""
if __name__ == "numerics":
    raise ImportError("import modelcollapse.numerics instead: this folder is a part of the package modelcollapse")
