"""Right and wrong answers to the questions of the assignment on bias correction.

A test grades every one: right ones earn all points, wrong ones at most half.  Each is the source of
a cell; it may use what the notebook's cells before it define.
"""

# What the notebook's own cell between questions 5 and 6 defines.
SYMBOLS = """\
t = sp.Symbol("t", integer=True, positive=True)
beta = symbolic.symbol("beta")
a, r = sp.symbols("a r", positive=True)
"""

NUMBERS = """
r_slow = 0.5 ** (1 / 1000)
excess = 0.001 * r_slow / (r_slow - 0.999)
half_life = np.log(2) / np.log(1 / 0.999)
"""

CLOSED_FORM = """
expected_v = a * (1 - beta) * r * (r**t - beta**t) / (r - beta)
"""

RATIO = """\
def step_ratio(t, beta1, beta2):
    return (1 - beta1**t) / np.sqrt(1 - beta2**t)
"""

ANSWERS = {
    "q1": {
        "right": {
            "tuple of t and m, pure": """\
def corrected_mean(state, g, beta):
    t, m = (0, np.zeros_like(g)) if state is None else state
    t, m = t + 1, beta * m + (1 - beta) * g
    return (t, m), m / (1 - beta**t)
""",
            "recursion of the corrected mean, dictionary": """\
def corrected_mean(state, g, beta):
    if state is None:
        return {"t": 1, "mean": g.copy()}, g.copy()
    t = state["t"] + 1
    now = (1 - beta) / (1 - beta**t)
    mean = state["mean"] + now * (g - state["mean"])
    return {"t": t, "mean": mean}, mean
""",
            "torch, in place on a copy, float32": """\
import torch

def corrected_mean(state, g, beta):
    g = torch.tensor(g, dtype=torch.float32)
    if state is None:
        state = [torch.zeros_like(g), 0.0]
    m, weight = state[0].clone(), beta * state[1] + 1 - beta
    m.mul_(beta).add_(g, alpha=1 - beta)
    return [m, weight], m / weight
""",
            "list of all numbers": """\
def corrected_mean(state, g, beta):
    past = [g.copy()] if state is None else [*state, g.copy()]
    w = [beta ** (len(past) - 1 - i) for i in range(len(past))]
    return past, sum(wi * gi for wi, gi in zip(w, past)) / sum(w)
""",
        },
        "wrong": {
            "no correction": """\
def corrected_mean(state, g, beta):
    m = beta * (0 * g if state is None else state) + (1 - beta) * g
    return m, m
""",
            "t one behind": """\
def corrected_mean(state, g, beta):
    t, m = (1, np.zeros_like(g)) if state is None else state
    m = beta * m + (1 - beta) * g
    return (t + 1, m), m / (1 - beta ** (t + 1))
""",
            "divides by 1 - beta at every step": """\
def corrected_mean(state, g, beta):
    m = beta * (0 * g if state is None else state) + (1 - beta) * g
    return m, m / (1 - beta)
""",
            "stores the corrected mean as m": """\
def corrected_mean(state, g, beta):
    t, m = (0, np.zeros_like(g)) if state is None else state
    m = (beta * m + (1 - beta) * g) / (1 - beta ** (t + 1))
    return (t + 1, m), m
""",
            "starts at the first value and divides": """\
def corrected_mean(state, g, beta):
    t, m = (0, g) if state is None else state
    m = beta * m + (1 - beta) * g
    return (t + 1, m), m / (1 - beta ** (t + 1))
""",
            "starts at the first value": """\
def corrected_mean(state, g, beta):
    m = g if state is None else beta * state + (1 - beta) * g
    return m, m
""",
            "plain mean": """\
def corrected_mean(state, g, beta):
    n, total = (0, 0 * g) if state is None else state
    return (n + 1, total + g), (total + g) / (n + 1)
""",
            "decay and its complement exchanged": """\
def corrected_mean(state, g, beta):
    t, m = (0, np.zeros_like(g)) if state is None else state
    t, m = t + 1, (1 - beta) * m + beta * g
    return (t, m), m / (1 - (1 - beta) ** t)
""",
            "changes the state in place": """\
def corrected_mean(state, g, beta):
    if state is None:
        state = [0, np.zeros_like(g)]
    state[0] += 1
    state[1] *= beta
    state[1] += (1 - beta) * g
    return state, state[1] / (1 - beta ** state[0])
""",
            "keeps everything in globals": """\
memory = {}

def corrected_mean(state, g, beta):
    if state is None:
        memory.update(t=0, m=np.zeros_like(g))
    memory["t"] += 1
    memory["m"] = beta * memory["m"] + (1 - beta) * g
    return 0, memory["m"] / (1 - beta ** memory["t"])
""",
            "changes g": """\
def corrected_mean(state, g, beta):
    t, m = (0, np.zeros_like(g)) if state is None else state
    g *= 1 - beta
    t, m = t + 1, beta * m + g
    return (t, m), m / (1 - beta**t)
""",
        },
    },
    "q2": {
        "right": {
            "unit vectors": """\
def weights(average, T):
    r = average(np.zeros(T))
    return r, np.array([average(unit) - r for unit in np.eye(T)])
""",
            "least squares": """\
def weights(average, T):
    probes = np.random.default_rng(0).normal(size=(3 * T, T))
    answers = np.array([average(p) for p in probes])
    found = np.linalg.lstsq(np.c_[np.ones(3 * T), probes], answers, rcond=None)[0]
    return found[0], found[1:]
""",
            "differences of steps, loop": """\
def weights(average, T):
    w = np.empty(T)
    before = r = average(np.zeros(T))
    for i in range(T):
        now = average(np.array([1.0] * (i + 1) + [0.0] * (T - i - 1)))
        w[i], before = now - before, now
    return r, w
""",
            "torch": """\
import torch

def weights(average, T):
    r = average(np.zeros(T))
    w = torch.zeros(T)
    for i in range(T):
        probe = np.zeros(T)
        probe[i] = 1.0
        w[i] = average(probe) - r
    return r, w
""",
        },
        "wrong": {
            "rest not subtracted": """\
def weights(average, T):
    return average(np.zeros(T)), np.array([average(unit) for unit in np.eye(T)])
""",
            "rest left out": """\
def weights(average, T):
    return 0.0, np.array([average(unit) for unit in np.eye(T)])
""",
            "newest first": """\
def weights(average, T):
    r = average(np.zeros(T))
    return r, np.array([average(unit) - r for unit in np.eye(T)])[::-1]
""",
            "cumulative": """\
def weights(average, T):
    r = average(np.zeros(T))
    return r, np.array([average(row) - r for row in np.tri(T)])
""",
            "takes it for a running mean": """\
def weights(average, T):
    r = average(np.zeros(T))
    newest = average(np.eye(T)[-1]) - r
    return r, newest * (1 - newest) ** np.arange(T - 1, -1, -1)
""",
            "scaled to sum to one": """\
def weights(average, T):
    r = average(np.zeros(T))
    w = np.array([average(unit) - r for unit in np.eye(T)])
    return r, w / w.sum()
""",
            "the probe is not cleared": """\
def weights(average, T):
    r, probe, w = average(np.zeros(T)), np.zeros(T), []
    for i in range(T):
        probe[i] = 1.0
        w.append(average(probe) - r)
    return r, np.array(w)
""",
            "all alike": """\
def weights(average, T):
    r = average(np.zeros(T))
    return r, np.full(T, (average(np.ones(T)) - r) / T)
""",
        },
    },
    "q4": {
        "right": {
            "cumulative product": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None]
    return (m - left * start) / (1 - left)
""",
            "loop": """\
def debias(m, start, betas):
    result, left = np.empty_like(m), 1.0
    for t in range(len(betas)):
        left *= betas[t]
        for j in range(len(start)):
            result[t, j] = (m[t, j] - left * start[j]) / (1 - left)
    return result
""",
            "torch": """\
import torch

def debias(m, start, betas):
    m, start, betas = map(torch.as_tensor, (m, start, betas))
    left = torch.cumprod(betas, 0).unsqueeze(1)
    return (m - left * start) / (1 - left)
""",
            "recovers the values first": """\
def debias(m, start, betas):
    before = np.vstack([start, m[:-1]])
    g = (m - betas[:, None] * before) / (1 - betas[:, None])
    total, weight, result = 0 * start, 0.0, []
    for beta, value in zip(betas, g):
        total, weight = beta * total + (1 - beta) * value, beta * weight + 1 - beta
        result.append(total / weight)
    return np.array(result)
""",
        },
        "wrong": {
            "start forgotten": """\
def debias(m, start, betas):
    return m / (1 - np.cumprod(betas)[:, None])
""",
            "power of the newest decay": """\
def debias(m, start, betas):
    left = (betas ** np.arange(1, len(betas) + 1))[:, None]
    return (m - left * start) / (1 - left)
""",
            "power of the first decay": """\
def debias(m, start, betas):
    left = (betas[0] ** np.arange(1, len(betas) + 1))[:, None]
    return (m - left * start) / (1 - left)
""",
            "product one behind": """\
def debias(m, start, betas):
    left = np.cumprod(np.r_[betas[0], betas])[:-1][:, None]
    return (m - left * start) / (1 - left)
""",
            "product one ahead": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None] * betas[0]
    return (m - left * start) / (1 - left)
""",
            "start subtracted whole": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None]
    return (m - start) / (1 - left)
""",
            "start subtracted after the division": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None]
    return m / (1 - left) - left * start
""",
            "start added": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None]
    return (m + left * start) / (1 - left)
""",
            "start subtracted, not divided": """\
def debias(m, start, betas):
    return m - np.cumprod(betas)[:, None] * start
""",
            "mean of the decays": """\
def debias(m, start, betas):
    t = np.arange(1, len(betas) + 1)
    left = ((np.cumsum(betas) / t) ** t)[:, None]
    return (m - left * start) / (1 - left)
""",
            "changes m": """\
def debias(m, start, betas):
    left = np.cumprod(betas)[:, None]
    m -= left * start
    m /= 1 - left
    return m
""",
        },
    },
    "q5": {
        "right": {
            "simplify": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0) - start) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return begins, sp.simplify(claim - step) == 0
""",
            "the book's equal": """\
def induction(claim, moment, start, t, beta):
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return [symbolic.equal(claim.subs(t, 0), start), symbolic.equal(claim, step)]
""",
            "one step further on, SymPy's truth values": """\
def induction(claim, moment, start, t, beta):
    n = sp.Symbol("n", integer=True, nonnegative=True)
    here, there = claim.xreplace({t: n}), claim.xreplace({t: n + 1})
    step = beta * here + (1 - beta) * moment.subs(t, n + 1)
    begins, continues = sp.simplify(claim.subs(t, 0) - start), sp.simplify(there - step)
    return sp.sympify(begins == 0), sp.sympify(continues == 0)
""",
            "numbers at many points": """\
def induction(claim, moment, start, t, beta):
    def zero(expression):
        rng = np.random.default_rng(0)
        for _ in range(8):
            point = {s: sp.Rational(int(rng.integers(1, 99)), 100) for s in expression.free_symbols}
            if t in point:
                point[t] = int(rng.integers(1, 12))
            if abs(sp.N(expression.subs(point), 30)) > 1e-15:
                return False
        return True

    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return zero(claim.subs(t, 0) - start), zero(claim - step)
""",
        },
        "wrong": {
            "the start only": """\
def induction(claim, moment, start, t, beta):
    return sp.simplify(claim.subs(t, 0) - start) == 0, True
""",
            "compares forms, not values": """\
def induction(claim, moment, start, t, beta):
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return claim.subs(t, 0) == start, claim == step
""",
            "the first two steps only": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0) - start) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return begins, all(sp.simplify((claim - step).subs(t, k)) == 0 for k in (1, 2))
""",
            "the moment one step behind": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0) - start) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment.subs(t, t - 1)
    return begins, sp.simplify(claim - step) == 0
""",
            "begins at step 1": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 1) - (1 - beta) * moment.subs(t, 1)) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return begins, sp.simplify(claim - step) == 0
""",
            "start taken to be zero, moment constant": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0)) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment.subs(t, 1)
    return begins, sp.simplify(claim - step) == 0
""",
            "continues only if it begins": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0) - start) == 0
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return begins, begins and sp.simplify(claim - step) == 0
""",
            "decays exchanged": """\
def induction(claim, moment, start, t, beta):
    begins = sp.simplify(claim.subs(t, 0) - start) == 0
    step = (1 - beta) * claim.subs(t, t - 1) + beta * moment
    return begins, sp.simplify(claim - step) == 0
""",
            "always right": """\
def induction(claim, moment, start, t, beta):
    return True, True
""",
            "one decay put in": """\
def induction(claim, moment, start, t, beta):
    begins = abs(float(sp.sympify(claim.subs(t, 0) - start).subs(beta, 0.9))) < 1e-9
    step = beta * claim.subs(t, t - 1) + (1 - beta) * moment
    return begins, abs(float((claim - step).subs({beta: 0.9, t: 3}))) < 1e-9
""",
        },
    },
    "q6": {
        "right": {
            "by hand": SYMBOLS + CLOSED_FORM + NUMBERS,
            "SymPy's summation": SYMBOLS
            + """
i = sp.Symbol("i", integer=True)
total = sp.summation(a * r**i * beta ** (t - i), (i, 1, t))
total = total.replace(sp.Piecewise, lambda *cases: cases[-1][0])  # that of r != beta
expected_v = (1 - beta) * total
r_slow = sp.Rational(1, 2) ** sp.Rational(1, 1000)
excess = sp.N(sp.Rational(1, 1000) * r_slow / (r_slow - sp.Rational(999, 1000)))
half_life = sp.N(-sp.log(2) / sp.log(sp.Rational(999, 1000)))
""",
            "other symbols of the same names, rounded": """
t, beta, a, r = sp.symbols("t beta a r")
expected_v = a * r * (1 - beta) * beta ** (t - 1) * ((r / beta) ** t - 1) / (r / beta - 1)
excess = 3.25
half_life = 693
""",
        },
        "wrong": {
            "corrected, and no number": SYMBOLS
            + """
expected_v = a * (1 - beta) * r * (r**t - beta**t) / ((r - beta) * (1 - beta**t))
excess = 1 / (1 - 0.5 ** (1 / 1000))
half_life = 1000
""",
            "sum from zero": SYMBOLS
            + """
expected_v = a * (1 - beta) * (r ** (t + 1) - beta ** (t + 1)) / (r - beta)
excess = 0.001 / (0.5 ** (1 / 1000) - 0.999) * 2
half_life = np.log(2) / np.log(1 / 0.999)
""",
            "stationary": SYMBOLS
            + """
expected_v = a * r**t * (1 - beta**t)
excess = 1.0000001
half_life = np.log(2) / np.log(1 / 0.999)
""",
            "factor 1 - beta forgotten": SYMBOLS
            + """
expected_v = a * r * (r**t - beta**t) / (r - beta)
r_slow = 0.5 ** (1 / 1000)
excess = r_slow / (r_slow - 0.999)
half_life = np.log(2) / np.log(1 / 0.999)
""",
            "exponent one behind": SYMBOLS
            + """
expected_v = a * (1 - beta) * (r**t - beta**t) / (r - beta)
excess = 0.001 / (0.5 ** (1 / 500) - 0.999) * -1
half_life = 1 / (1 - 0.999)
""",
            "roots and mean life instead": SYMBOLS
            + CLOSED_FORM
            + """
r_slow = 0.5 ** (1 / 1000)
excess = np.sqrt(0.001 * r_slow / (r_slow - 0.999))
half_life = 1 / (1 - 0.999)
""",
            "gradients halved, not squares": SYMBOLS
            + CLOSED_FORM
            + """
r_slow = 0.25 ** (1 / 1000)
excess = 0.001 * r_slow / (0.999 - r_slow)
half_life = 2 * np.log(2) / np.log(1 / 0.999)
""",
            "right numbers, unevaluated sum": SYMBOLS
            + """
i = sp.Symbol("i", integer=True)
expected_v = (1 - beta) * sp.Sum(a * r**i * beta ** (t - i), (i, 1, t))
"""
            + NUMBERS,
        },
    },
    "q7": {
        "right": {
            "argmax over ten memories": RATIO
            + """
def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    c = step_ratio(np.arange(1, 2 + int(10 / (1 - beta1))), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "until it falls": RATIO
            + """
def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    t = 1
    while step_ratio(t + 1, beta1, beta2) > step_ratio(t, beta1, beta2):
        t += 1
    return t, step_ratio(t, beta1, beta2)
""",
            "torch, a long range": """\
import torch

def step_ratio(t, beta1, beta2):
    t = torch.as_tensor(t, dtype=torch.float64)
    return ((1 - beta1**t) / torch.sqrt(1 - beta2**t)).numpy()[()]

def longest(beta1, beta2):
    if beta2 > beta1:
        c = torch.as_tensor(step_ratio(torch.arange(1, 100001), beta1, beta2))
        best = torch.argmax(c).item()
        return [best + 1, c[best].item()]
""",
        },
        "wrong": {
            "root forgotten": """\
def step_ratio(t, beta1, beta2):
    return (1 - beta1**t) / (1 - beta2**t)

def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    c = step_ratio(np.arange(1, 20000), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "inverse": """\
def step_ratio(t, beta1, beta2):
    return np.sqrt(1 - beta2**t) / (1 - beta1**t)

def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    c = step_ratio(np.arange(1, 20000), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "betas exchanged": """\
def step_ratio(t, beta1, beta2):
    return (1 - beta2**t) / np.sqrt(1 - beta1**t)

def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    c = step_ratio(np.arange(1, 20000), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "index instead of step, never None": RATIO
            + """
def longest(beta1, beta2):
    c = step_ratio(np.arange(1, 20000), beta1, beta2)
    return int(c.argmax()), c.max()
""",
            "two hundred steps, never None": RATIO
            + """
def longest(beta1, beta2):
    c = step_ratio(np.arange(1, 201), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "two hundred steps": RATIO
            + """
def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    c = step_ratio(np.arange(1, 201), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
            "the chapter's example": RATIO
            + """
def longest(beta1, beta2):
    return (12, step_ratio(12, beta1, beta2)) if beta2 > beta1 else None
""",
            "formula for beta2 near 1": RATIO
            + """
def longest(beta1, beta2):
    if beta2 <= beta1:
        return None
    t = round(1.2564 / np.log(1 / max(beta1, 1e-9))) or 1
    return t, step_ratio(t, beta1, beta2)
""",
            "None where the first step is too short": RATIO
            + """
def longest(beta1, beta2):
    if 1 - beta2 > (1 - beta1) ** 2:
        return None
    c = step_ratio(np.arange(1, 20000), beta1, beta2)
    return int(c.argmax()) + 1, c.max()
""",
        },
    },
}

# Written from the student's notebook alone, without a look at the tests.
ANSWERS["q1"]["right"]["two sums"] = """
def corrected_mean(state, g, beta):
    # keep the two sums  S = sum beta^k g_{t-k}  and  N = sum beta^k, the mean is S / N
    g = np.asarray(g, dtype=float)
    if state is None:
        total, weight = np.zeros_like(g), 0.0
    else:
        total, weight = state
    total = beta * total + g  # new arrays, the old state stays as it is
    weight = beta * weight + 1.0
    return (total, weight), total / weight
"""
ANSWERS["q4"]["right"]["row by row"] = """
def debias(m, start, betas):
    out = np.empty(np.shape(m))  # a new array of doubles
    P = 1.0
    for i in range(len(betas)):
        P = P * betas[i]
        out[i] = (m[i] - P * start) / (1 - P)
    return out
"""
ANSWERS["q7"]["right"]["without cancellation, a shorter look"] = """
def step_ratio(t, beta1, beta2):
    # -expm1(t log b) is 1 - b^t without the cancellation when b is nearly 1
    return (1 - beta1**t) / np.sqrt(-np.expm1(t * np.log(beta2)))


def longest(beta1, beta2):
    if beta2 <= beta1:  # theorem (a): below 1 for ever, and tends to 1
        return None
    # Otherwise the maximum is at y = beta1^t between 1/9 (for q = 1/2) and e^-1.26 (q -> 0),
    # i.e. before ln(9) / ln(1 / beta1) < 2.2 / (1 - beta1). Look further, to be safe.
    last = int(5 / (1 - beta1)) + 10
    steps = np.arange(1, last + 1)
    c = step_ratio(steps, beta1, beta2)
    best = c.argmax()
    return int(steps[best]), float(c[best])
"""
