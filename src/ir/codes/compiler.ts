/** What the compiler refuses, and what it finds wrong with a graph. */
export const compilerCodes = {
  "CODEGEN-BINDING-LIMIT":
    "A tensor is larger than the device can bind and cannot be cut here: take fewer rows, or `--device cpu`.",
  "CODEGEN-BINDINGS": "A kernel would bind more buffers than the device allows.",
  "CODEGEN-INVERSE-SIZE":
    "A matrix that is inverted does not fit into workgroup memory: use smaller blocks, or a Neumann series.",
  "COMPILE-ACTIVE": "These adapters cannot be in use together: both replace the same thing. Use one of them alone.",
  "COMPILE-LIMIT":
    "The formula, or the batch, makes so many operations that compiling would not end: make them smaller.",
  "COMPILE-MEMORY":
    "The program needs more memory than it may take (`--memory`); the help says with which batch, length or weights it would fit.",
  "COMPILE-OPTION": "`compile` has no option of this name, or not with this value.",
  "INSPECT-DUMP":
    "A folder to be compared, or a file that shall show an error again, is none that this version wrote, or does not show it.",
  "INSPECT-UNKNOWN": "The program has no stage, pass or module of the name that is to be shown.",
  "IR-EINSUM": "An einsum is not a contraction of two tensors, written as `letters,letters->letters`.",
  "IR-TEXT-ATTRIBUTE": "In a graph's text an attribute is missing, malformed, unknown or given twice.",
  "IR-TEXT-NOTE": "In a graph's text a comment that says where a node comes from does not read as one.",
  "IR-TEXT-OP": "In a graph's text stands an op that does not exist; the help has the nearest.",
  "IR-TEXT-PORT": "In a graph's text a parameter has a role or a name that it cannot have.",
  "IR-TEXT-SYNTAX": "A graph's text does not read as one; the message says what may stand at this place.",
  "IR-TEXT-TYPE": "In a graph's text stands another type than the op makes of its inputs.",
  "IR-TEXT-VALUE": "In a graph's text a value is used that is not made before, or is made twice.",
  "IR-TYPE": "An op cannot take inputs of these types.",
  "IR-VERIFY-ARITY": "A node has another number of inputs than its op takes.",
  "IR-VERIFY-ATTRIBUTE": "A node lacks an attribute of its op, or has one that is malformed or unknown.",
  "IR-VERIFY-CONTEXT": "A node's scope, location, chunk or origin is malformed.",
  "IR-VERIFY-INPUT": "An input of a node is no earlier node.",
  "IR-VERIFY-LEVEL": "An operator is left in a graph of tensors.",
  "IR-VERIFY-OP": "A node has an op that does not exist.",
  "IR-VERIFY-OUTPUT": "An output is no tensor of the graph, or has no name of its own.",
  "IR-VERIFY-PORT": "A port has no name of its own, or a trained one is not f32.",
  "IR-VERIFY-SHAPE": "An extent is no positive whole number.",
  "IR-VERIFY-TYPE": "A node has another type than its op makes of its inputs.",
  "KERNEL-VERIFY-BARRIER": "A kernel has a barrier that not all invocations of a workgroup may reach.",
  "KERNEL-VERIFY-BINDING":
    "A kernel uses a tensor, a word or an array that it does not have, or writes what it may only read.",
  "KERNEL-VERIFY-FORM": "A kernel has a construct that cannot stand where it does.",
  "KERNEL-VERIFY-LANES": "A kernel has four numbers where one belongs, or the other way round.",
  "KERNEL-VERIFY-MEMORY": "A workgroup of a kernel is larger than the device allows.",
  "KERNEL-VERIFY-NAME": "A kernel has a name twice, or one that stands for nothing where it is used.",
  "KERNEL-VERIFY-TYPE": "A kernel has a value of another type than belongs there.",
  "PASS-LOSS": "A graph without an output `loss` was to be differentiated.",
} as const;
