"""A rule as a real ``torch.optim.Optimizer``, eager or compiled to one fused kernel."""

import operator
from functools import cache, partial
from inspect import signature

import torch
from torch import fx
from torch.optim.optimizer import required

from firstorder.hyperparameters import check, label, names
from firstorder.rules import initial_state

# Keys of a parameter group that are not hyper-parameters.  Torch writes "differentiable" when it
# unpickles, schedulers read "initial_lr", loggers "name".
GROUP_KEYS = ("params", "param_names", "maximize", "differentiable", "initial_lr", "name")


class Optimizer(torch.optim.Optimizer):
    """Minimise with any rule: ``Optimizer(model.parameters(), adam, lr=0.01)``.

    ``params``    tensors, named tensors or parameter groups, as for every torch optimizer; floating
                  point.  A group may set its own hyper-parameters and ``maximize``
    ``rule``      a rule, a ``functools.partial`` of one, or a function of the same form
    ``maximize``  climb instead of descend; default False
    ``compile``   run the rule as one fused kernel made by ``torch.compile``; default False.  The
                  kernel is made at the first step, in seconds, and serves every parameter of its
                  dtype and every optimizer with this rule.  It pays for large parameters: for a
                  few thousand elements the call costs more than it saves.  On a CPU this needs a
                  C++ compiler
    ``hyper``     the rule's hyper-parameters, one number each (``lr`` may be a one-element tensor);
                  defaults are the rule's

    A parameter without gradient is skipped and its step is not counted.  ``state[p]`` holds the
    fields of the rule's state: arrays like ``p``, counters and running products as Python numbers.

    Raises, before anything is changed, ``TypeError`` for an unknown hyper-parameter or a parameter
    that is not floating point, ``ValueError`` for a hyper-parameter out of range, a rule that
    cannot be compiled or a loaded state that is not this rule's, ``RuntimeError`` for a sparse
    gradient.
    """

    def __init__(self, params, rule, *, maximize=False, compile=False, **hyper):
        self.rule, self.compile = rule, compile
        self._kind = type(initial_state(rule, torch.zeros(())))
        defaults = {
            name: required if p.default is p.empty else p.default
            for name, p in signature(rule).parameters.items()
            if name in names(rule)
        }
        defaults |= _checked(rule, hyper) | {"maximize": maximize}
        if compile:
            _fused(rule)
        super().__init__(params, defaults)

    def add_param_group(self, param_group):
        """Add a group of parameters, with hyper-parameters of its own where given."""
        super().add_param_group(param_group)
        group = self.param_groups.pop()
        for p in group["params"]:
            if not p.is_floating_point():
                raise TypeError(f"params must be floating point and real, got {p.dtype}")
        hyper = {name: value for name, value in group.items() if name not in GROUP_KEYS}
        group.update(_checked(self.rule, hyper))
        self.param_groups.append(group)

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step and return the loss that ``closure``, if given, computed anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.grad.layout is not torch.strided:
                    raise RuntimeError(f"gradients must be dense, got {p.grad.layout}")
        update = _fused(self.rule) if self.compile else partial(_eager, self.rule)
        for group in self.param_groups:
            hyper = {name: _number(group[name]) for name in names(self.rule)}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state = self._kind(**state) if state else initial_state(self.rule, p)
                g = -p.grad if group["maximize"] else p.grad
                # A plain dict: load_state_dict cannot rebuild a NamedTuple.
                self.state[p] = update(p, g, state, hyper)._asdict()
        return loss

    def load_state_dict(self, state_dict):
        """Load a copy of what ``state_dict`` returned for the same rule and the same groups."""
        for state in state_dict["state"].values():
            if set(state) != set(self._kind._fields):
                raise ValueError(
                    f"the state of {label(self.rule)} has {self._kind._fields}, got {tuple(state)}"
                )
        for group in state_dict["param_groups"]:
            missing = {*names(self.rule), "maximize"} - set(group)
            if missing:
                raise ValueError(f"a loaded group lacks {', '.join(sorted(missing))}")
        # Torch would share the arrays with the optimizer that they come from.
        state = {
            key: {name: v.clone() if torch.is_tensor(v) else v for name, v in state.items()}
            for key, state in state_dict["state"].items()
        }
        super().load_state_dict(state_dict | {"state": state})

    def __getstate__(self):
        return super().__getstate__() | {
            "rule": self.rule,
            "compile": self.compile,
            "_kind": self._kind,
        }


def _number(value):
    """A one-element tensor as a Python number; anything else as it is."""
    return value.item() if torch.is_tensor(value) and value.numel() == 1 else value


def _checked(rule, hyper):
    """Check hyper-parameters; return tensors as they are and other numbers as floats."""
    arrays = check(rule, {name: _number(value) for name, value in hyper.items()})
    for name, array in arrays.items():
        if array.ndim:
            raise ValueError(f"{name} must be one number, got {hyper[name]!r}")
    # No NumPy numbers: torch.load(weights_only=True) refuses them.
    return {
        name: value if torch.is_tensor(value) else float(arrays[name])
        for name, value in hyper.items()
    }


def _eager(rule, p, g, state, hyper):
    x, state = rule(p, g, state, **hyper)
    # A state may keep x or g; both are about to change in place.
    state = state._make(v.clone() if v is p or v is g else v for v in state)
    p.copy_(x)
    return state


# --------------------------------------------------------------------------------------------------
# Compiled: the rule is traced once and split in two.  What it does to numbers alone, 1 - beta1**t
# for one, stays in Python; what it does to arrays takes the results and becomes the kernel.  A
# kernel of the whole rule would raise beta1 to the power t again for every few elements, and a
# kernel in which t is a constant would have to be compiled anew at every step.


@cache
def _fused(rule):
    """Return ``update(p, g, state, hyper)``, which changes p and the state's arrays in place."""
    counters, number_part, array_part = _split(rule)
    kernel = torch.compile(array_part, dynamic=True)

    def update(p, g, state, hyper):
        numbers, counts = number_part(*(getattr(state, c) for c in counters), *hyper.values())
        dtype = torch.float64 if p.dtype == torch.float64 else torch.float32
        numbers = torch.tensor(numbers, dtype=dtype, device=p.device)
        arrays = [p, g, *(v for v in state if torch.is_tensor(v))]
        if all(a.is_contiguous() for a in arrays):
            arrays = [a.view(-1) for a in arrays]  # one kernel for all shapes
        # detach: the compiler would tell views of different shapes apart
        kernel(*(a.detach() for a in (*arrays, *numbers.unbind())))
        return state._replace(**dict(zip(counters, counts, strict=True)))

    return update


def _split(rule):
    """Trace ``rule``; return the names of its counters, its number part and its array part.

    ``number_part(*counters, *hyper)`` returns the numbers for the array part and the new counters;
    ``array_part(x, g, *arrays, *numbers)`` writes the new x and arrays of the state over the old.
    """
    start = initial_state(rule, torch.zeros(()))
    fields = [name for name, value in start._asdict().items() if torch.is_tensor(value)]
    counters = [name for name in start._fields if name not in fields]

    graph = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)

    def symbol(name):
        return fx.Proxy(graph.placeholder(name), tracer)

    # Proxies belong to torch.fx, so namespace(g) is torch.
    x, g = symbol("x"), symbol("g")
    state = start._make(symbol(f"state_{name}") for name in start._fields)
    hyper = {name: symbol(f"hyper_{name}") for name in names(rule)}
    try:
        new_x, new_state = rule(x, g, state, **hyper)
    except (fx.proxy.TraceError, TypeError) as error:
        raise ValueError(f"{label(rule)} cannot be compiled: {error}") from error
    if not all(isinstance(value, fx.Proxy) for value in (new_x, *new_state)):
        raise ValueError(f"{label(rule)} cannot be compiled: it returns a constant")

    old = [x.node, *(getattr(state, name).node for name in fields)]
    new = [new_x.node, *(getattr(new_state, name).node for name in fields)]
    counts = [getattr(new_state, name).node for name in counters]
    of_arrays = {g.node, *old}
    for node in graph.nodes:
        if not of_arrays.isdisjoint(node.all_input_nodes):
            of_arrays.add(node)
    for node in of_arrays:
        if node.target is operator.truediv and node.args[1] not in of_arrays:
            # one division of numbers instead of one for every element; differs by a rounding
            with graph.inserting_before(node):
                inverse = graph.call_function(operator.truediv, (1, node.args[1]))
            node.target, node.args = operator.mul, (node.args[0], inverse)
    of_numbers = [node for node in graph.nodes if node not in of_arrays]
    of_arrays = [node for node in graph.nodes if node in of_arrays]
    if not set(counts) <= set(of_numbers) or not set(new) <= set(of_arrays):
        raise ValueError(f"{label(rule)} cannot be compiled: its state mixes numbers and arrays")
    needed = [node for node in of_numbers if not set(node.users).isdisjoint(of_arrays)]
    return (
        counters,
        _number_part(of_numbers, needed, counts),
        _array_part(of_arrays, needed, old, new),
    )


def _number_part(nodes, needed, counts):
    graph, value = fx.Graph(), {}
    for node in nodes:
        value[node] = graph.node_copy(node, value.get)
    graph.output(([value[n] for n in needed], [value[n] for n in counts]))
    return fx.GraphModule({}, graph)


def _array_part(nodes, needed, old, new):
    graph = fx.Graph()
    memory = {node: graph.node_copy(node) for node in nodes if node.op == "placeholder"}
    value = memory | {node: graph.placeholder(node.name) for node in needed}
    for node in nodes:
        if node not in memory:
            value[node] = graph.node_copy(node, value.get)
    # What the state takes over unchanged, such as g, is read before anything is written.
    results = [graph.call_method("clone", (value[n],)) if n in memory else value[n] for n in new]
    for node, result in zip(old, results, strict=True):
        graph.call_method("copy_", (memory[node], result))
    graph.output(None)
    return fx.GraphModule({}, graph)
