"""Answers to the assignment on SGD and its noise floor: right ones in several styles, wrong ones.

Every answer is the source of a cell that defines what the question asks for; the answers to
earlier questions that it builds on are the first right ones.
"""

MEASURE = """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        fixed, growing = rng.standard_normal((2, runs))
        return curvature * x + sigma * fixed + s * x * growing

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), {error}

runs_needed = {runs}
"""

CHOOSE = """
eigenvalues, z0 = np.array([0.5, 2.0, 8.0]), 3.0

def choose(demanded):
    low, high = 0.0, 0.25
    for _ in range(60):
        lr = (low + high) / 2
        loss = {loss}
        low, high = (lr, high) if loss <= demanded else (low, lr)
    t = np.arange(3000)[:, None]
    bias = {bias}
    return low, int(np.argmax(bias <= demanded))

lr_largest, steps_needed = choose(0.05)
_, steps_half = choose(0.025)
"""
LOSS = "(lr / 2 / (2 - lr * eigenvalues)).sum()"
BIAS = "(eigenvalues / 2 * ((1 - low * eigenvalues) ** t * z0) ** 2).sum(axis=1)"

SCHEDULE = """
def best_schedule(M0, curvature, sigma, s, steps):
    M, rates = M0, []
    for t in range(1, steps + 1):
        lr = {lr}
        M = {M}
        rates.append(lr)
    return np.array(rates)
"""
BEST = "curvature * M / ((curvature**2 + s**2) * M + sigma**2)"
NEXT = "((1 - lr * curvature) ** 2 + lr**2 * s**2) * M + lr**2 * sigma**2"

REGRESSION = """
def regression_floor(a, y, lr, b):
    c = np.mean(a**2)
    e = {residual}
    fixed = {fixed}
    growing = {growing}
    rest = 2 * c - lr * (c**2 + growing)
    return lr * fixed / rest if rest > 0 else float("inf")
"""
RIGHT = {
    "residual": "y - a * np.mean(a * y) / c",
    "fixed": "np.mean((a * e) ** 2) / b",
    "growing": "np.var(a**2) / b",
}

ANSWERS = {
    "q1": {
        "right": {
            "a list of iterates": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps + 1):
        step = lr(t) if callable(lr) else lr
        xs.append(xs[-1] - step * gradient(xs[-1], t))
    return np.array(xs)
""",
            "an array made beforehand": """
def descend(gradient, x0, lr, steps):
    xs = np.empty((steps + 1, *x0.shape))
    xs[0] = x0
    for t in range(steps):
        rate = lr(t + 1) if callable(lr) else lr
        xs[t + 1] = xs[t] - rate * gradient(xs[t], t + 1)
    return xs
""",
            "in place on a copy": """
def descend(gradient, x0, lr, steps):
    schedule = lr if callable(lr) else lambda t: lr
    x = x0.copy()
    trace = [x.copy()]
    for t in range(1, steps + 1):
        x -= schedule(t) * gradient(x, t)
        trace.append(x.copy())
    return np.stack(trace)
""",
            "float32 inside": """
def descend(gradient, x0, lr, steps):
    x = x0.astype(np.float32)
    trace = [x]
    for t in range(1, steps + 1):
        g = np.asarray(gradient(x, t), dtype=np.float32)
        x = x - np.float32(lr(t) if callable(lr) else lr) * g
        trace.append(x)
    return np.array(trace)
""",
        },
        "wrong": {
            "the same array at every step": """
def descend(gradient, x0, lr, steps):
    x = x0.copy()
    trace = [x]
    for t in range(1, steps + 1):
        x -= (lr(t) if callable(lr) else lr) * gradient(x, t)
        trace.append(x)
    return np.array(trace)
""",
            "changes the start": """
def descend(gradient, x0, lr, steps):
    x = x0
    trace = [x.copy()]
    for t in range(1, steps + 1):
        x -= (lr(t) if callable(lr) else lr) * gradient(x, t)
        trace.append(x.copy())
    return np.array(trace)
""",
            "steps counted from zero": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(steps):
        xs.append(xs[-1] - (lr(t) if callable(lr) else lr) * gradient(xs[-1], t))
    return np.array(xs)
""",
            "schedule one step late": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps + 1):
        xs.append(xs[-1] - (lr(t + 1) if callable(lr) else lr) * gradient(xs[-1], t))
    return np.array(xs)
""",
            "uphill": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps + 1):
        xs.append(xs[-1] + (lr(t) if callable(lr) else lr) * gradient(xs[-1], t))
    return np.array(xs)
""",
            "only the last iterate": """
def descend(gradient, x0, lr, steps):
    x = x0.copy()
    for t in range(1, steps + 1):
        x = x - (lr(t) if callable(lr) else lr) * gradient(x, t)
    return x
""",
            "one step too few": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps):
        xs.append(xs[-1] - (lr(t) if callable(lr) else lr) * gradient(xs[-1], t))
    return np.array(xs)
""",
            "gradient always at the start": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps + 1):
        xs.append(xs[-1] - (lr(t) if callable(lr) else lr) * gradient(x0, t))
    return np.array(xs)
""",
            "gradient called twice": """
def descend(gradient, x0, lr, steps):
    xs, norms = [x0.copy()], []
    for t in range(1, steps + 1):
        norms.append(np.linalg.norm(gradient(xs[-1], t)))
        xs.append(xs[-1] - (lr(t) if callable(lr) else lr) * gradient(xs[-1], t))
    return np.array(xs)
""",
            "schedules forgotten": """
def descend(gradient, x0, lr, steps):
    xs = [x0.copy()]
    for t in range(1, steps + 1):
        xs.append(xs[-1] - lr * gradient(xs[-1], t))
    return np.array(xs)
""",
        },
    },
    "q3": {
        "right": {
            "closed form": """
def floor(lr, curvature, sigma, s):
    rest = 2 * curvature - lr * (curvature**2 + s**2)
    return lr * sigma**2 / rest if rest > 0 else float("inf")
""",
            "from a and b": """
def floor(lr, curvature, sigma, s):
    a = (1 - lr * curvature) ** 2 + lr**2 * s**2
    b = lr**2 * sigma**2
    return np.where(a < 1, b / np.where(a < 1, 1 - a, 1.0), np.inf)
""",
            "the range first, in float64 arrays": """
def floor(lr, curvature, sigma, s):
    limit = 2 * curvature / (curvature**2 + s**2)
    if lr >= limit:
        return np.inf
    return np.float64(lr * sigma**2) / (2 * curvature - lr * curvature**2 - lr * s**2)
""",
        },
        "wrong": {
            "the growing noise forgotten": """
def floor(lr, curvature, sigma, s):
    rest = curvature * (2 - lr * curvature)
    return lr * sigma**2 / rest if rest > 0 else float("inf")
""",
            "the limit of the mean": """
def floor(lr, curvature, sigma, s):
    if lr >= 2 / curvature:
        return float("inf")
    return lr * sigma**2 / (2 * curvature - lr * (curvature**2 + s**2))
""",
            "for small learning rates": """
def floor(lr, curvature, sigma, s):
    if lr >= 2 * curvature / (curvature**2 + s**2):
        return float("inf")
    return lr * sigma**2 / (2 * curvature)
""",
            "standard deviation": """
def floor(lr, curvature, sigma, s):
    rest = 2 * curvature - lr * (curvature**2 + s**2)
    return np.sqrt(lr * sigma**2 / rest) if rest > 0 else float("inf")
""",
            "sigma not squared": """
def floor(lr, curvature, sigma, s):
    rest = 2 * curvature - lr * (curvature**2 + s**2)
    return lr * sigma / rest if rest > 0 else float("inf")
""",
            "the floor of the loss": """
def floor(lr, curvature, sigma, s):
    rest = 2 * curvature - lr * (curvature**2 + s**2)
    return curvature / 2 * lr * sigma**2 / rest if rest > 0 else float("inf")
""",
            "no infinite value": """
def floor(lr, curvature, sigma, s):
    return lr * sigma**2 / (2 * curvature - lr * (curvature**2 + s**2))
""",
            "factor not squared": """
def floor(lr, curvature, sigma, s):
    a = abs(1 - lr * curvature) + lr**2 * s**2
    return lr**2 * sigma**2 / (1 - a) if a < 1 else float("inf")
""",
            "the public values": """
def floor(lr, curvature, sigma, s):
    return 1.0 if lr == 1.0 else float("inf")
""",
        },
    },
    "q4": {
        "right": {
            "two noises": MEASURE.format(error="squares.std() / np.sqrt(runs)", runs="80000"),
            "one noise of the same variance": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        size = np.sqrt(sigma**2 + (s * x) ** 2)
        return curvature * x + size * rng.normal(size=x.shape)

    x = descend(gradient, np.full((runs, 1), float(x0)), lr, steps)[-1, :, 0]
    return float(np.mean(x**2)), float(np.std(x**2, ddof=1) / runs**0.5)

runs_needed = 2 / 0.005**2
""",
            "a list, noise in two calls": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        noise = sigma * rng.standard_normal(runs) + s * x * rng.standard_normal(runs)
        return curvature * x + noise

    x = descend(gradient, x0 * np.ones(runs), lr, steps)[steps]
    mean = (x**2).mean()
    return [mean, np.sqrt(((x**2 - mean) ** 2).sum() / (runs - 1) / runs)]

runs_needed = 80_000
""",
        },
        "wrong": {
            "standard error of x": MEASURE.format(
                error="np.sqrt(squares.mean()) / np.sqrt(runs)", runs="40000"
            ),
            "standard deviation for standard error": MEASURE.format(
                error="squares.std()", runs="80000"
            ),
            "divided by the number of runs": MEASURE.format(
                error="squares.std() / runs", runs="283"
            ),
            "variance instead of mean square": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        fixed, growing = rng.standard_normal((2, runs))
        return curvature * x + sigma * fixed + s * x * growing

    x = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1]
    return x.var(), x.var() * np.sqrt(2 / runs)

runs_needed = 80000
""",
            "one noise for all runs": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        return curvature * x + sigma * rng.normal() + s * x * rng.normal()

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), squares.std() / np.sqrt(runs)

runs_needed = 80000
""",
            "the same noise at every step": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    def gradient(x, t):
        fixed, growing = np.random.default_rng(seed).standard_normal((2, runs))
        return curvature * x + sigma * fixed + s * x * growing

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), squares.std() / np.sqrt(runs)

runs_needed = 80000
""",
            "sigma squared as standard deviation": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        fixed, growing = rng.standard_normal((2, runs))
        return curvature * x + sigma**2 * fixed + s**2 * x * growing

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), squares.std() / np.sqrt(runs)

runs_needed = 80000
""",
            "late steps counted as runs": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        fixed, growing = rng.standard_normal((2, runs))
        return curvature * x + sigma * fixed + s * x * growing

    xs = descend(gradient, np.full(runs, float(x0)), lr, steps)
    squares = xs[steps // 2 :] ** 2
    return squares.mean(), squares.std() / np.sqrt(squares.size)

runs_needed = 80000
""",
            "one and the same noise in both parts": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        return curvature * x + (sigma + s * x) * rng.standard_normal(runs)

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), squares.std() / np.sqrt(runs)

runs_needed = 80000
""",
            "prediction for measurement": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    V = floor(lr, curvature, sigma, s)
    return V, V * np.sqrt(2 / runs)

runs_needed = 80000
""",
            "the seed ignored": """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(0)

    def gradient(x, t):
        fixed, growing = rng.standard_normal((2, runs))
        return curvature * x + sigma * fixed + s * x * growing

    squares = descend(gradient, np.full(runs, float(x0)), lr, steps)[-1] ** 2
    return squares.mean(), squares.std() / np.sqrt(runs)

runs_needed = 80000
""",
        },
    },
    "q5": {
        "right": {
            "bisection": CHOOSE.format(loss=LOSS, bias=BIAS),
            "written down from a calculation elsewhere": """
lr_largest = 0.0590
steps_needed = 64
steps_half = 143
""",
            "a fine grid and a loop": """
grid = np.linspace(1e-5, 0.2, 200_000)
loss = sum(0.5 * c * grid / (c * (2 - grid * c)) for c in (0.5, 2.0, 8.0))

def steps(lr, demanded):
    z, t = np.array([3.0, 3.0, 3.0]), 0
    while 0.5 * np.array([0.5, 2.0, 8.0]) @ z**2 > demanded:
        z, t = z * (1 - lr * np.array([0.5, 2.0, 8.0])), t + 1
    return t

lr_largest = grid[loss <= 0.05].max()
steps_needed = steps(lr_largest, 0.05)
steps_half = steps(grid[loss <= 0.025].max(), 0.025)
""",
        },
        "wrong": {
            "formula for small learning rates": """
lr_largest = 4 * 0.05 / 3
t = np.arange(3000)[:, None]
c = np.array([0.5, 2.0, 8.0])
steps_needed = int(np.argmax((4.5 * c * (1 - lr_largest * c) ** (2 * t)).sum(axis=1) <= 0.05))
steps_half = int(np.argmax((4.5 * c * (1 - lr_largest / 2 * c) ** (2 * t)).sum(axis=1) <= 0.025))
""",
            "floor of x instead of the loss": CHOOSE.format(
                loss="(lr / (eigenvalues * (2 - lr * eigenvalues))).sum()", bias=BIAS
            ),
            "only the steepest direction": CHOOSE.format(loss="lr / 2 / (2 - lr * 8)", bias=BIAS),
            "one half forgotten": CHOOSE.format(
                loss="(lr / (2 - lr * eigenvalues)).sum()", bias=BIAS
            ),
            "mean instead of sum": CHOOSE.format(
                loss="(lr / 2 / (2 - lr * eigenvalues)).mean()", bias=BIAS
            ),
            "mean not squared": CHOOSE.format(
                loss=LOSS, bias="(eigenvalues / 2 * (1 - low * eigenvalues) ** t * z0).sum(axis=1)"
            ),
            "steps doubled by rule of thumb": CHOOSE.format(loss=LOSS, bias=BIAS)
            + "\nsteps_half = 2 * steps_needed\n",
            "steepest direction decides the steps": CHOOSE.format(
                loss=LOSS, bias="4.5 * 8 * (1 - low * 8) ** (2 * t[:, 0])"
            ),
            "one half forgotten in the bias": CHOOSE.format(
                loss=LOSS,
                bias="(eigenvalues * ((1 - low * eigenvalues) ** t * z0) ** 2).sum(axis=1)",
            ),
        },
    },
    "q6": {
        "right": {
            "a loop": SCHEDULE.format(lr=BEST, M=NEXT),
            "with the minimum inserted": SCHEDULE.format(
                lr=BEST, M="M - (curvature * M) ** 2 / ((curvature**2 + s**2) * M + sigma**2)"
            ),
            "an array, float32": """
def best_schedule(M0, curvature, sigma, s, steps):
    rates, M = np.empty(steps, dtype=np.float32), M0
    for k in range(steps):
        rates[k] = curvature * M / (curvature**2 * M + s**2 * M + sigma**2)
        M *= 1 - curvature * rates[k]
    return rates
""",
            "a torch tensor": """
def best_schedule(M0, curvature, sigma, s, steps):
    import torch
    M, rates = torch.tensor(M0, dtype=torch.float64), []
    for _ in range(steps):
        rates.append(curvature / (curvature**2 + s**2 + sigma**2 / M))
        M = M * (1 - curvature * rates[-1])
    return torch.stack(rates)
""",
        },
        "wrong": {
            "one over t": SCHEDULE.format(lr="1 / (curvature * t)", M="M"),
            "M kept": SCHEDULE.format(lr=BEST, M="M"),
            "only fixed noise": SCHEDULE.format(
                lr="curvature * M / (curvature**2 * M + sigma**2)",
                M="(1 - lr * curvature) ** 2 * M + lr**2 * sigma**2",
            ),
            "growing noise forgotten in the next M": SCHEDULE.format(
                lr=BEST, M="(1 - lr * curvature) ** 2 * M + lr**2 * sigma**2"
            ),
            "one step late": SCHEDULE.format(lr=BEST, M=NEXT).replace(
                "    return", "    lr = " + BEST + "\n    rates = rates[1:] + [lr]\n    return"
            ),
            "sigma not squared": SCHEDULE.format(lr=BEST.replace("sigma**2", "sigma"), M=NEXT),
            "root of M for M": SCHEDULE.format(lr=BEST.replace("M", "np.sqrt(M)"), M=NEXT),
            "the floor's learning rate": SCHEDULE.format(
                lr="curvature / (curvature**2 + s**2)", M="M"
            ),
            "the public values": """
def best_schedule(M0, curvature, sigma, s, steps):
    return 1 / np.arange(2.0, steps + 2)
""",
            "robbins and monro, any": SCHEDULE.format(lr="1 / (1 + t)", M="M"),
        },
    },
    "q8": {
        "right": {
            "with the floor of question 3": """
def regression_floor(a, y, lr, b):
    curvature = np.mean(a**2)
    best = np.mean(a * y) / curvature
    fixed, growing = a * (y - a * best), a**2 - curvature
    return floor(lr, curvature, np.sqrt(np.mean(fixed**2) / b), np.sqrt(np.mean(growing**2) / b))
""",
            "moments": REGRESSION.format(**RIGHT),
            "least squares and a loop": """
def regression_floor(a, y, lr, b):
    n = len(a)
    x = np.linalg.lstsq(a[:, None], y, rcond=None)[0][0]
    second = sum(v**2 for v in a) / n
    fourth = sum(v**4 for v in a) / n
    noise = sum((v * (v * x - w)) ** 2 for v, w in zip(a, y)) / n / b
    factor = 1 - 2 * lr * second + lr**2 * (second**2 * (1 - 1 / b) + fourth / b)
    return lr**2 * noise / (1 - factor) if factor < 1 else np.inf
""",
        },
        "wrong": {
            "growing noise forgotten": REGRESSION.format(**RIGHT | {"growing": "0"}),
            "batch forgotten": REGRESSION.format(
                **RIGHT | {"fixed": "np.mean((a * e) ** 2)", "growing": "np.var(a**2)"}
            ),
            "batch divides only the fixed part": REGRESSION.format(
                **RIGHT | {"growing": "np.var(a**2)"}
            ),
            "batch squared": REGRESSION.format(
                **RIGHT
                | {"fixed": "np.mean((a * e) ** 2) / b**2", "growing": "np.var(a**2) / b**2"}
            ),
            "variance of the residuals": REGRESSION.format(
                **RIGHT | {"fixed": "np.mean(e**2) / b"}
            ),
            "residual and feature taken as independent": REGRESSION.format(
                **RIGHT | {"fixed": "np.mean(a**2) * np.mean(e**2) / b"}
            ),
            "target instead of residual": REGRESSION.format(**RIGHT | {"residual": "y"}),
            "fit with an intercept": REGRESSION.format(
                **RIGHT | {"residual": "y - np.polyval(np.polyfit(a, y, 1), a)"}
            ),
            "curvature one": REGRESSION.format(**RIGHT).replace("np.mean(a**2)\n", "1.0\n", 1),
            "fourth moment for its variance": REGRESSION.format(
                **RIGHT | {"growing": "np.mean(a**4) / b"}
            ),
            "n minus one": REGRESSION.format(
                **RIGHT
                | {
                    "fixed": "np.var(a * e, ddof=1) / b",
                    "growing": "np.var(a**2, ddof=1) / b",
                }
            ),
        },
    },
}

# Written from the student's notebook alone, without a look at the tests.
ANSWERS["q4"]["right"]["one run less in the deviation, runs as a float"] = """
def measure(lr, curvature, sigma, s, x0, runs, steps, seed):
    rng = np.random.default_rng(seed)

    def gradient(x, t):
        zeta = rng.standard_normal(runs)
        zeta2 = rng.standard_normal(runs)
        return curvature * x + sigma * zeta + s * x * zeta2

    xs = descend(gradient, np.full(runs, float(x0)), lr, steps)
    squares = xs[-1] ** 2
    return squares.mean(), squares.std(ddof=1) / np.sqrt(runs)


# standard error = sqrt(2 V^2 / R) = 0.005 V, so R = 2 / 0.005^2
runs_needed = 2 / 0.005**2
"""
ANSWERS["q5"]["right"]["steps taken one by one"] = """
eigenvalues = np.array([0.5, 2.0, 8.0])


def loss_floor(eta):
    return (eta / 2 / (2 - eta * eigenvalues)).sum()


def largest_lr(level):
    low, high = 0.0, 2 / 8  # the floor rises from 0 to infinity in between
    for _ in range(60):
        mid = (low + high) / 2
        if loss_floor(mid) <= level:
            low = mid
        else:
            high = mid
    return low


def steps_until(level, eta):
    t = 0
    z = np.array([3.0, 3.0, 3.0])
    while (eigenvalues * z**2 / 2).sum() > level:
        z = (1 - eta * eigenvalues) * z
        t += 1
    return t


lr_largest = largest_lr(0.05)
steps_needed = steps_until(0.05, lr_largest)
steps_half = steps_until(0.025, largest_lr(0.025))
"""
