"""placeholder"""
if __name__ == "theory":
    raise ImportError("import modelcollapse.theory instead: this folder is a part of the package modelcollapse")
