"""placeholder"""
if __name__ == "validation":
    raise ImportError("import modelcollapse.validation instead: this folder is a part of the package modelcollapse")
