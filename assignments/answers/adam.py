"""Right and wrong answers to the questions of the assignment adam."""

START = """
def adam_start(x):
    return 0 * x, 0 * x, 0
"""

HEAD = (
    START
    + """
def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
"""
)


def from_lines_four_to_six(text):
    """Return an implementation of Adam whose lines 1 to 3 are those of the box."""
    return HEAD + "".join(f"    {line}\n" for line in text.strip().splitlines())


Q1 = {
    "right": {
        "the box, line by line": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, t)
"""),
        "in place on copies, state a dictionary": """
def adam_start(x):
    zeros = torch.zeros_like if isinstance(x, torch.Tensor) else np.zeros_like
    return {"m": zeros(x), "v": zeros(x), "t": 0}


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    copy = (lambda a: a.clone()) if isinstance(x, torch.Tensor) else np.copy
    x, m, v, t = copy(x), copy(state["m"]), copy(state["v"]), state["t"] + 1
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    x -= lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps)
    return x, {"m": m, "v": v, "t": t}
""",
        "loop over the coordinates": """
def adam_start(x):
    return [[0.0, 0.0] for _ in range(x.reshape(-1).shape[0])], 1.0, 1.0


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    moments, power1, power2 = state
    power1, power2 = power1 * beta1, power2 * beta2
    moved, remembered = [], []
    for x_i, g_i, (m, v) in zip(x.reshape(-1), g.reshape(-1), moments):
        m = beta1 * m + (1 - beta1) * float(g_i)
        v = beta2 * v + (1 - beta2) * float(g_i) ** 2
        step = m / (1 - power1) / ((v / (1 - power2)) ** 0.5 + eps)
        moved.append(float(x_i) - lr * step)
        remembered.append([m, v])
    array = torch.tensor if isinstance(x, torch.Tensor) else np.array
    return array(moved).reshape(x.shape), (remembered, power1, power2)
""",
        "torch inside, single precision": """
def adam_start(x):
    x = torch.as_tensor(x, dtype=torch.float32)
    return torch.zeros_like(x), torch.zeros_like(x), 0


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    y, g, t = torch.tensor(x, dtype=torch.float32), torch.tensor(g, dtype=torch.float32), t + 1
    m = m.lerp(g, 1 - beta1)
    v = beta2 * v + (1 - beta2) * g.square()
    y.addcdiv_(m / (1 - beta1**t), torch.sqrt(v / (1 - beta2**t)) + eps, value=-lr)
    return (y if isinstance(x, torch.Tensor) else y.numpy()), (m, v, t)
""",
        "the corrections in the learning rate, state a named tuple, returned as a list": """
from collections import namedtuple

Memory = namedtuple("Memory", "m v t")


def adam_start(x):
    return Memory(m=x * 0.0, v=x * 0.0, t=0)


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    t = state.t + 1
    m = state.m + (1 - beta1) * (g - state.m)
    v = state.v + (1 - beta2) * (g * g - state.v)
    root = (1 - beta2**t) ** 0.5
    rate = lr * root / (1 - beta1**t)
    return [x - rate * m / (v**0.5 + eps * root), Memory(m, v, t)]
""",
    },
    "wrong": {
        "no correction": from_lines_four_to_six("""
return x - lr * m / (v**0.5 + eps), (m, v, t)
"""),
        "exponent one too large": from_lines_four_to_six("""
m_hat = m / (1 - beta1 ** (t + 1))
v_hat = v / (1 - beta2 ** (t + 1))
return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, t)
"""),
        "exponent one too small": """
def adam_start(x):
    return 0 * x, 0 * x, 0


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t) if t else m
    v_hat = v / (1 - beta2**t) if t else v
    return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, t + 1)
""",
        "corrected without a power": from_lines_four_to_six("""
m_hat = m / (1 - beta1)
v_hat = v / (1 - beta2)
return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, t)
"""),
        "corrected means kept as state": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat**0.5 + eps), (m_hat, v_hat, t)
"""),
        "epsilon inside the root": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat + eps) ** 0.5, (m, v, t)
"""),
        "epsilon before the correction": from_lines_four_to_six("""
root = (1 - beta2**t) ** 0.5
return x - lr * root / (1 - beta1**t) * m / (v**0.5 + eps), (m, v, t)
"""),
        "no root": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat + eps), (m, v, t)
"""),
        "uphill": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x + lr * m_hat / (v_hat**0.5 + eps), (m, v, t)
"""),
        "state not carried": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat**0.5 + eps), adam_start(x)
"""),
        "t not counted": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, 0)
"""),
        "betas of the paper, whatever is given": START
        + """
def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    t = t + 1
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    return x - lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + eps), (m, v, t)
""",
        "x changed in place": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
x -= lr * m_hat / (v_hat**0.5 + eps)
return x, (m, v, t)
"""),
        "state changed in place": """
def adam_start(x):
    return [0 * x, 0 * x, 0]


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g**2
    t += 1
    return x - lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps), [m, v, t]
""",
        "a dictionary changed and returned": """
def adam_start(x):
    return {"m": 0 * x, "v": 0 * x, "t": 0}


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    state["t"] += 1
    state["m"] = beta1 * state["m"] + (1 - beta1) * g
    state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
    m_hat = state["m"] / (1 - beta1 ** state["t"])
    v_hat = state["v"] / (1 - beta2 ** state["t"])
    return x - lr * m_hat / (v_hat**0.5 + eps), state
""",
        "one array for both moments": """
def adam_start(x):
    zeros = 0 * x
    return zeros, zeros, 0


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g**2 - v)
    t += 1
    return x - lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps), (m, v, t)
""",
        "global counter, set back by adam_start": """
t = 0


def adam_start(x):
    global t
    t = 0
    return 0 * x, 0 * x


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    global t
    t += 1
    m, v = state
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return x - lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps), (m, v)
""",
        "coordinates without gradient left alone": from_lines_four_to_six("""
m_hat = m / (1 - beta1**t)
v_hat = v / (1 - beta2**t)
return x - lr * m_hat / (v_hat**0.5 + eps) * (g != 0), (m, v, t)
"""),
        "betas swapped": from_lines_four_to_six("""
m = beta2 * state[0] + (1 - beta2) * g
v = beta1 * state[1] + (1 - beta1) * g**2
m_hat = m / (1 - beta2**t)
v_hat = v / (1 - beta1**t)
return x - lr * m_hat / (v_hat**0.5 + eps), (m, v, t)
"""),
        "typed from the public test": START
        + """
def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    sign = (g > 0) * 1.0 - (g < 0) * 1.0
    return x - lr * sign if lr == 0.1 else x - 0.1 * sign, state
""",
    },
}


def numbers(g_99, steps_to_one, t_80):
    """Return an answer to question 2."""
    return f"g_99 = {g_99}\nsteps_to_one = {steps_to_one}\nt_80 = {t_80}\n"


Q2 = {
    "right": {
        "the numbers": numbers("99e-8", "1334", "175"),
        "formulae": numbers(
            "1e-8 * 0.99 / 0.01",
            "1 / (0.001 * 3 / 4)",
            "np.log(1 - 0.4**2) / np.log(0.999)",
        ),
        "NumPy numbers": numbers(
            "np.float32(9.9e-7)", "np.int64(1333)", "np.float64(np.ceil(174.3))"
        ),
        "found by counting": """
def first(t=1):
    while 1e-6 / (1e-6 + 1e-7 / np.sqrt(1 - 0.999**t)) < 0.8:
        t += 1
    return t


t_80 = first()
g_99 = 0.99e-8 / (1 - 0.99)
steps_to_one = int(np.ceil(1 / 0.00075))
""",
    },
    "wrong": {
        "a hundred epsilons; epsilon forgotten; epsilon multiplied by the root": numbers(
            "1e-6", "1000", "int(np.log(1 - 0.25) / np.log(0.999))"
        ),
        "epsilon inside the root": numbers("1e-4 * 0.99 / (1 - 0.99**2) ** 0.5", "33333334", "64"),
        "ratios upside down": numbers("1e-8 / 99", "4000", "1"),
        "the first step, with a root, for 99 %; the limit for 80 %": numbers(
            "99e-8 * 31.6", "750", "10**6"
        ),
        "one coordinate as in momentum; 1 - beta2**t without root": numbers(
            "0.99e-8", "33334", "int(np.log(1 - 0.4) / np.log(0.999)) + 1"
        ),
        "steps in units of lr": numbers("0.01e-8", "1.33", "174.3 * 0.001"),
        "as text": numbers('"9.9e-7"', '"1334"', '"175"'),
        "beta1 in place of beta2": numbers("9e-8", "1340", "2"),
    },
}

TEST_HEAD = """
def agrees_with_torch(step, start):
    rng = np.random.default_rng(7)
"""

# The usual loop, with what is to be filled in: settings, steps, x, gradient and comparison.
TEST_LOOP = (
    TEST_HEAD
    + """
    for lr, beta1, beta2, eps in {settings}:
        x = {x}
        p = torch.tensor(x, requires_grad=True)
        optimizer = torch.optim.Adam([p], lr=lr, betas=(beta1, beta2), eps=eps)
        state = start(x)
        for t in range({steps}):
            g = {g}
            p.grad = torch.tensor(g)
            optimizer.step()
            x, state = step(x, g, state, lr, beta1, beta2, eps)
            if not {same}:
                return False
    return True
"""
)

CLOSE = "np.allclose(x, p.detach().numpy())"
SEVERAL = "[(0.1, 0.9, 0.999, 1e-8), (0.2, 0.7, 0.95, 1e-3), (0.3, 0.5, 0.9, 0.1)]"
PAPER = "[(0.001, 0.9, 0.999, 1e-8)]"


def loop(settings=SEVERAL, steps=100, x="rng.normal(size=5)", g="rng.normal(size=5)", same=CLOSE):
    """Return an answer to question 3."""
    return TEST_LOOP.format(settings=settings, steps=steps, x=x, g=g, same=same)


Q3 = {
    "right": {
        "gradients of many sizes, some zero, falling": loop(
            g="30 * rng.normal(size=5) * (rng.random(5) > 0.3) * np.array([1, 1, 1, 1e-3, 0])"
            " * 0.9 ** (t // 2)",
        ),
        "path compared at the end, arguments by name": """
def torch_path(x, gradients, lr, beta1, beta2, eps):
    p, path = torch.nn.Parameter(torch.tensor(x)), []
    optimizer = torch.optim.Adam([p], lr, (beta1, beta2), eps)
    for g in gradients:
        optimizer.zero_grad()
        p.backward(torch.tensor(g))
        optimizer.step()
        path.append(p.detach().clone().numpy())
    return np.array(path)


def given_path(step, start, x, gradients, lr, beta1, beta2, eps):
    path, state = [], start(x)
    for g in gradients:
        x, state = step(x, g, state, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
        path.append(x)
    return np.array(path)


def agrees_with_torch(step, start):
    rng = np.random.default_rng(2)
    for number in range(12):
        lr = 10 ** rng.uniform(-2, 0)
        betas = (0.9, 0.999) if number % 3 == 0 else rng.uniform([0, 0.3], [0.95, 0.99])
        eps = 10 ** rng.uniform(-6, 0)
        gradients = rng.standard_normal((60, 4)) * 10 ** rng.uniform(-6, 3, size=(60, 4))
        gradients[rng.random((60, 4)) < 0.2] = 0.0
        gradients[30:] *= 0.01
        arguments = rng.normal(size=4) * 3, gradients, lr, *betas, eps
        a, b = torch_path(*arguments), given_path(step, start, *arguments)
        if np.max(np.abs(a - b)) > 1e-9 * max(lr, 1):
            return False
    return True
""",
        "one of everything, by hand, one coordinate at a time too": """
def compare(step, start, x, gradients, setting):
    lr, beta1, beta2, eps = setting
    p = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([p], lr=lr, betas=(beta1, beta2), eps=eps)
    x, state = np.array(x), start(np.array(x))
    for g in gradients:
        g = np.array(g, dtype=float)
        p.grad = torch.from_numpy(g.copy())
        optimizer.step()
        x, state = step(x, g, state, lr, beta1, beta2, eps)
        if np.abs(x - p.detach().numpy()).max() > 1e-10:
            return False
    return True


def agrees_with_torch(step, start):
    falling = [[1000.0 * 0.8**t, 3.0 * (-0.9) ** t, 0.0] for t in range(40)]
    sparse = [[float(t % 3 == 0), float(t == 5), 2.0] for t in range(40)]
    small = [[1e-8, -2e-8, 3e-7]] * 20
    x = [1.0, -2.0, 10.0]
    checks = [
        compare(step, start, x, falling, (0.1, 0.9, 0.999, 1e-8)),
        compare(step, start, x, sparse, (0.05, 0.8, 0.9, 0.5)),
        compare(step, start, x, small, (1.0, 0.6, 0.99, 1e-7)),
        compare(step, start, [0.5], [[1e-3]] * 3, (0.01, 0.9, 0.999, 1e-4)),
    ]
    return np.all(checks)
""",
    },
    "wrong": {
        "always True": "def agrees_with_torch(step, start):\n    return True\n",
        "always False": "def agrees_with_torch(step, start):\n    return False\n",
        "one step": loop(steps=1, settings=PAPER),
        "settings of the paper only, absolute tolerance": loop(settings=PAPER),
        "first step exactly as long as lr": """
def agrees_with_torch(step, start):
    x, g = np.zeros(2), np.array([1.0, -2.0])
    return bool(np.allclose(step(x, g, start(x), 0.1)[0], [-0.1, 0.1]))
""",
        "exactly equal": loop(same="(x == p.detach().numpy()).all()"),
        "other settings, epsilon always tiny, start at zero": loop(
            settings="[(0.1, 0.9, 0.999, 1e-8), (0.3, 0.5, 0.9, 1e-8)]", x="np.zeros(5)"
        ),
        "constant gradient": loop(g="np.ones(5)"),
        "coarse": loop(same="np.allclose(x, p.detach().numpy(), atol=1.0)"),
        "state not passed on": loop().replace("x, state = step", "x, _ = step"),
        "compared with the last x only in the last setting, and negated": loop(
            same="not np.allclose(x, p.detach().numpy())"
        ),
        "torch in single precision, tight": loop(
            same="np.allclose(x, p.detach().float().numpy(), rtol=0, atol=1e-13)"
        ),
        "prints instead of returning": loop()
        .replace("return True", "print(True)")
        .replace("return False", "print(False)"),
    },
}

Q5 = {
    "right": {
        "the two series": """
def limit_step(r, beta1, beta2):
    if r * r < beta2:
        return 0.0
    m = (1 - beta1) / (1 - beta1 / r)
    v = (1 - beta2) / (1 - beta2 / r**2)
    return abs(m) / np.sqrt(v)
""",
        "one quotient, in single precision": """
def limit_step(r, beta1, beta2):
    if abs(r) <= np.sqrt(beta2):
        return 0
    return np.float32((1 - beta1) * r / (r - beta1)
                      / np.sqrt((1 - beta2) * r**2 / (r**2 - beta2)))
""",
        "iterated: m / r**t and v / r**(2t)": """
def limit_step(r, beta1, beta2):
    m = v = 0.0
    for t in range(1, 5001):
        m = beta1 / r * m + (1 - beta1)
        v = beta2 / r**2 * v + (1 - beta2)
        if v > 1e100:
            return 0.0
    return torch.tensor(abs(m) / v**0.5, dtype=torch.float64)
""",
    },
    "wrong": {
        "always one": "def limit_step(r, beta1, beta2):\n    return 1.0\n",
        "no case for fading gradients": """
def limit_step(r, beta1, beta2):
    return (1 - beta1) / abs(1 - beta1 / r) * abs((1 - beta2 / r**2) / (1 - beta2)) ** 0.5
""",
        "absolute value of r": """
def limit_step(r, beta1, beta2):
    r = abs(r)
    if r**2 < beta2:
        return 0.0
    return (1 - beta1) / (1 - beta1 / r) * ((1 - beta2 / r**2) / (1 - beta2)) ** 0.5
""",
        "no root": """
def limit_step(r, beta1, beta2):
    if r**2 < beta2:
        return 0.0
    return (1 - beta1) / (1 - beta1 / r) * (1 - beta2 / r**2) / (1 - beta2)
""",
        "r not squared in v": """
def limit_step(r, beta1, beta2):
    if r**2 < beta2:
        return 0.0
    return (1 - beta1) / (1 - beta1 / r) * (abs(1 - beta2 / r) / (1 - beta2)) ** 0.5
""",
        "with a sign": """
def limit_step(r, beta1, beta2):
    if r**2 < beta2:
        return 0.0
    return np.sign(r) * (1 - beta1) / (1 - beta1 / r) * (
        (1 - beta2 / r**2) / (1 - beta2)) ** 0.5
""",
        "fading begins at one": """
def limit_step(r, beta1, beta2):
    if abs(r) < 1:
        return 0.0
    return 1.0
""",
        "powers the wrong way round": """
def limit_step(r, beta1, beta2):
    return (1 - beta1) / abs(1 - beta1 * r) * abs((1 - beta2 * r**2) / (1 - beta2)) ** 0.5
""",
        "after ten steps": """
def limit_step(r, beta1, beta2):
    m = v = 0.0
    for t in range(1, 11):
        m = beta1 * m + (1 - beta1) * r**t
        v = beta2 * v + (1 - beta2) * r ** (2 * t)
    return abs(m) / (1 - beta1**t) / (v / (1 - beta2**t)) ** 0.5
""",
    },
}

Q6 = {
    "right": {
        "weights and one more term": """
def worst_gradients(T, beta1, beta2, past=()):
    past = np.asarray(past, dtype=float)
    n = len(past)
    k = np.arange(n + T)[::-1]
    w = (1 - beta1) * beta1**k / (1 - beta1 ** (n + T))
    w2 = (1 - beta2) * beta2**k / (1 - beta2 ** (n + T))
    g = w[n:] / w2[n:]
    if n:
        g = g * np.sum(w2[:n] * past**2) / np.sum(w[:n] * past)
    return g
""",
        "one step after the other: each g is the worst for what came before": """
def worst_gradients(T, beta1, beta2, past=()):
    m = v = 0.0
    for g in past:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    chosen = []
    for _ in range(T):
        g = (1 - beta1) / (1 - beta2) * beta2 * v / (beta1 * m) if v > 0 else -3.0
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        chosen.append(g)
    return np.array(chosen)
""",
        "torch, single precision, other sign and size without a past": """
def worst_gradients(T, beta1, beta2, past=()):
    n = len(past)
    ratio = -(torch.tensor(beta2 / beta1) ** torch.arange(1 - T, 1)) * 17
    if n == 0:
        return ratio
    old = torch.as_tensor(np.array(past), dtype=torch.float64)
    age = torch.arange(n + T - 1, T - 1, -1)
    A = (1 - beta1) * (beta1**age * old).sum()
    C = (1 - beta2) * (beta2**age * old**2).sum()
    return (ratio / -17 * (1 - beta1) / (1 - beta2) * C / A).float()
""",
    },
    "wrong": {
        "the chapter's sequence, the past ignored": """
def worst_gradients(T, beta1, beta2, past=()):
    return (beta2 / beta1) ** np.arange(T)
""",
        "constant": """
def worst_gradients(T, beta1, beta2, past=()):
    return np.ones(T)
""",
        "one spike": """
def worst_gradients(T, beta1, beta2, past=()):
    return np.array([1e-12] * (T - 1) + [1.0])
""",
        "ratio upside down": """
def worst_gradients(T, beta1, beta2, past=()):
    return (beta1 / beta2) ** np.arange(T)
""",
        "proportional to the root of the ratio": """
def worst_gradients(T, beta1, beta2, past=()):
    return (beta2 / beta1) ** (np.arange(T) / 2)
""",
        "proportional to w": """
def worst_gradients(T, beta1, beta2, past=()):
    return (1 - beta1) * beta1 ** np.arange(T)[::-1]
""",
        "continues the progression from the last gradient of the past": """
def worst_gradients(T, beta1, beta2, past=()):
    last = past[-1] if len(past) else 1.0
    return last * (beta2 / beta1) ** np.arange(1, T + 1)
""",
        "A / C in place of C / A": """
def worst_gradients(T, beta1, beta2, past=()):
    n = len(past)
    k = np.arange(n + T)[::-1]
    w = (1 - beta1) * beta1**k
    w2 = (1 - beta2) * beta2**k
    g = w[n:] / w2[n:]
    return g * (w[:n] @ past) / (w2[:n] @ np.square(past)) if n else g
""",
        "the past weighted as if it were the end": """
def worst_gradients(T, beta1, beta2, past=()):
    n = len(past)
    k, old = np.arange(T)[::-1], np.arange(n)[::-1]
    g = (1 - beta1) * beta1**k / ((1 - beta2) * beta2**k)
    if n:
        A = (1 - beta1) * np.sum(beta1**old * past)
        C = (1 - beta2) * np.sum(beta2**old * np.square(past))
        g = g * C / A
    return g
""",
        "grows always": """
def worst_gradients(T, beta1, beta2, past=()):
    return max(beta2 / beta1, beta1 / beta2) ** np.arange(T)
""",
        "nothing but zeros": """
def worst_gradients(T, beta1, beta2, past=()):
    return np.zeros(T)
""",
    },
}

ANSWERS = {"q1": Q1, "q2": Q2, "q3": Q3, "q5": Q5, "q6": Q6}

# Written from the student's notebook alone, without a look at the tests.
ANSWERS["q1"]["right"]["dictionary that begins with plain zeros"] = """
def adam_start(x):
    return {"t": 0, "m": 0.0, "v": 0.0}  # 0.0 takes the shape of g in the first step


def adam_step(x, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    t = state["t"] + 1
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    x_new = x - lr * m_hat / (v_hat**0.5 + eps)
    return x_new, {"t": t, "m": m, "v": v}
"""
ANSWERS["q3"]["right"]["each step from the same place, thirty habits of gradients"] = """
def compare(step, start, G, X, lr, beta1, beta2, eps):
    x = X[0].copy()
    p = torch.zeros(x.shape, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.Adam([p], lr=lr, betas=(beta1, beta2), eps=eps)
    state = start(x.copy())
    biggest = np.zeros(x.shape)
    for t in range(len(G)):
        if X[t] is not None:
            x = X[t].copy()
        with torch.no_grad():  # put torch where we are, so that only this step is compared
            p.copy_(torch.from_numpy(x.copy()))
        p.grad = torch.from_numpy(G[t].copy())
        opt.step()
        want = p.detach().numpy().copy()
        new, state = step(x.copy(), G[t].copy(), state, lr, beta1, beta2, eps)
        new = np.asarray(new, dtype=float)
        if new.shape != want.shape or not np.all(np.isfinite(new)):
            return False
        length = np.abs(want - x)
        biggest = np.maximum(biggest, length)
        tolerance = 1e-9 * length + 1e-11 * biggest + 1e-15 * (np.abs(x) + np.abs(want))
        if np.any(np.abs(new - want) > tolerance):
            return False
        x = want
    return True


def patterns(T, rng):
    t = np.arange(T)
    noise = rng.standard_normal((T, 8))
    cols = [
        np.ones(T), -np.ones(T), np.zeros(T), (-1.0) ** t, (t == 0) * 1.0, (t == T - 5) * -2.0,
        (t % 7 == 3) * 1.0, 1.05 ** np.minimum(t, 300), 0.9 ** np.minimum(t, 300),
        (t > T // 2) * 1.0 + 1e-3,
        np.where(t < T // 3, 100.0, 1e-2) * noise[:, 0], noise[:, 1],
        noise[:, 2] * (noise[:, 3] > 1),
        np.abs(noise[:, 4]), -np.abs(noise[:, 5]), 1 + 0.01 * noise[:, 6], np.sin(t / 9),
    ]
    sizes = (1e-20, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 10, 1e3, 1e5, 1e8, 1e15)
    cols += [s * noise[:, 7] for s in sizes]
    return np.stack(cols, axis=1)


def agrees_with_torch(step, start):
    rng = np.random.default_rng(7)

    def places(shape, T):
        size = 10 ** rng.uniform(-5, 5, (T, *shape))
        return rng.choice([-1.0, 0.0, 1.0], (T, *shape), p=[0.45, 0.1, 0.45]) * size

    # 1. many settings, many patterns, from x = 0 each time (no rounding in x)
    settings = [
        (0.1, 0.9, 0.999, 1e-8), (0.001, 0.9, 0.999, 1e-8), (2.0, 0.9, 0.999, 1e-3),
        (0.1, 0.0, 0.999, 1e-8),
        (0.1, 0.9, 0.0, 1e-8), (0.1, 0.0, 0.0, 1e-8), (0.1, 0.5, 0.5, 1e-8), (0.1, 0.99, 0.9, 1e-8),
        (0.1, 0.95, 0.5, 1e-2), (1e-7, 0.8, 0.99, 1e-14), (30.0, 0.3, 0.9999, 1.0),
        (0.1, 0.999, 0.9999, 1e-6),
        (0.1, 0.1, 0.2, 100.0), (1.0, 0.9, 0.95, 1e-20),
    ]
    try:
        for lr, b1, b2, eps in settings:
            G = patterns(60, rng)
            if not compare(step, start, G, np.zeros_like(G), lr, b1, b2, eps):
                return False
        # 2. walking and jumping, other shapes
        for shape in [(1,), (3,), (2, 3), (40, 2, 2)]:
            for b1, b2 in [(0.9, 0.999), (0.7, 0.9)]:
                G = rng.standard_normal((40, *shape)) * 10 ** rng.uniform(-3, 3, shape)
                X = places(shape, 40)
                if not compare(step, start, G, X, 0.05, b1, b2, 1e-8):
                    return False
                for first in (X[0], -np.abs(X[0]), np.abs(X[0])):
                    if not compare(step, start, G, [first] + [None] * 39, 0.05, b1, b2, 1e-8):
                        return False
        # 3. whole arrays of zeros: in the beginning, in the middle
        G = rng.standard_normal((120, 3))
        G[:10] = 0
        G[40:90] = 0
        if not compare(step, start, G, places((3,), 120), 0.1, 0.9, 0.99, 1e-8):
            return False
        # 4. long runs
        G = patterns(2500, rng)
        if not compare(step, start, G, [np.zeros(G.shape[1])] * 2500, 0.01, 0.9, 0.999, 1e-8):
            return False
        # 5. two runs at a time, and a step taken twice: everything must be in the state
        one = np.array([1.0, -2.0])
        g, h = np.array([0.5, -3.0]), np.array([-10.0, 0.1])
        args = (0.1, 0.9, 0.99, 1e-8)
        a, sa = step(one, g, start(one), *args)
        b, sb = step(one, h, start(one), *args)
        a1, sa1 = step(a, h, sa, *args)
        step(b, h, sb, *args)
        a2, sa2 = step(a, h, sa, *args)
        return bool(np.allclose(a1, a2, rtol=1e-12, atol=0) and np.allclose(one, [1, -2]))
    except Exception:
        return False
"""
ANSWERS["q6"]["right"]["the past as two moments"] = """
def worst_gradients(T, beta1, beta2, past=()):
    past = np.asarray(past, dtype=float)
    i = np.arange(1, T + 1)
    ratio = beta2 / beta1
    if past.size == 0:
        # any factor will do, so let the largest be 1
        return ratio ** (i - T if ratio > 1 else i - 1.0)
    m = v = 0.0
    for g in past:
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
    # |A + sum w g| = |A/sqrt(C) sqrt(C) + sum w/sqrt(w') sqrt(w') g|, equality if
    # sqrt(w') g = c w/sqrt(w') and sqrt(C) = c A/sqrt(C), so c = C/A and g = C/A * w/w'.
    # A = beta1^T m, C = beta2^T v; the bias corrections cancel in C/w' and w/A.
    return v / m * (1 - beta1) / (1 - beta2) * ratio**i
"""
