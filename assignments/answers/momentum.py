"""Right and wrong answers to the autograded questions of the assignment "momentum".

ANSWERS[question]["right" or "wrong"] maps a short description to source.  Right ones earn all
points, wrong ones at most half.  A source is complete but for the notebook's import cell and the
names of earlier questions, for which the first right answer is in force.
"""

# Parts that several answers to a question share, so that only the mistake differs.

FIRST = """
def first_state(x):
    return np.zeros_like(x)
"""

MATRIX = """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 + beta - lr * curvature, -beta], [1.0, 0.0]])
"""

MULTIPLIER = """
def multiplier(t, lr, beta, curvature):
    power = np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t)
    return (power @ np.ones(2))[0]
"""

RADIUS = """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    d = np.sqrt(np.asarray(s**2 - 4 * beta, dtype=complex))
    return np.maximum(abs(s + d), abs(s - d)) / 2
"""

STABLE = """
def stable(lr, beta, curvature):
    return spectral_radius(lr, beta, curvature) < 1
"""

BEST_BETA = """
def best_beta(lr, smallest, largest):
    return max((1 - np.sqrt(lr * smallest)) ** 2, (1 - np.sqrt(lr * largest)) ** 2)
"""

BEST_PAIR = """
def best_pair(smallest, largest):
    a, b = np.sqrt(smallest), np.sqrt(largest)
    return 4 / (a + b) ** 2, ((b - a) / (b + a)) ** 2

rate_400 = 19 / 21
"""

MEASURED = """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, first, t = first_state(x), np.linalg.norm(x), 0
    while not np.linalg.norm(x) < tolerance * first:
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        t += 1
    return t
"""

PREDICTED = """
def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log(tolerance) / np.log(spectral_radius(lr, beta, curvatures).max())
"""

COSTS = """
def predicted(believed):
    return steps_predicted(*best_pair(believed, 1000.0), np.array([1.0, 1000.0]), 0.01)

cost_too_small = predicted(10.0) / predicted(1.0)
cost_too_large = predicted(0.1) / predicted(1.0)
"""

CYCLE_POINTS = """
LINES = {"L": (25, 0), "M": (1, 24), "R": (25, -24)}

def cycle_points(pieces, lr, beta):
    k = len(pieces)
    A, b = np.zeros((k, k)), np.zeros(k)
    for i, piece in enumerate(pieces):
        slope, offset = LINES[piece]
        A[i, (i + 1) % k] += 1
        A[i, i] -= 1 + beta - lr * slope
        A[i, (i - 1) % k] += beta
        b[i] = -lr * offset
    return np.linalg.solve(A, b)
"""

SMALLEST_LR = """
def is_cycle(lr):
    a, b, c = cycle_points("RLL", lr, 4 / 9)
    return a >= 2 and b < 1 and c < 1

smallest_lr = next(lr for lr in np.arange(0.09, 0.12, 0.00002) if is_cycle(lr))
"""

CYCLE = """
x, v, xs = 3.2, 0.0, []
for _ in range(3000):
    v = 0.9 * v + (25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24)
    x = x - v / 9
    xs.append(x)
cycle = np.array(xs[-7:])
cycle = np.roll(cycle, -cycle.argmax())
"""

# The two numbers of q7, for answers whose mistake is in cycle_points.
NUMBERS = """
smallest_lr = 0.105435537829864
cycle = np.array([3.6154, -2.7133, -0.8722, 3.2075, 0.6361, -3.4452, 2.4516])
"""

ANSWERS = {}

ANSWERS["q1"] = {
    "right": {
        "velocity as an array": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return x - lr * v, v
""",
        "dict with a counter, copies changed in place, a list returned": """
def first_state(x):
    return {"v": np.zeros(x.shape), "t": 0}

def heavy_ball(x, g, state, lr, beta):
    x, v = x.copy(), state["v"].copy()
    v *= beta
    v += g
    x -= lr * v
    return [x, {"v": v, "t": state["t"] + 1}]
""",
        "displacement and learning rate as a tuple": """
def first_state(x):
    return (0 * x, 1.0)

def heavy_ball(x, g, state, lr, beta):
    d, old = state
    d = beta * lr / old * d - lr * g
    return x + d, (d, lr)
""",
        "element by element, state None at first": """
def first_state(x):
    return None

def heavy_ball(x, g, state, lr, beta):
    new, memory = np.empty(x.shape), np.empty(x.shape)
    for i in np.ndindex(x.shape):
        memory[i] = g[i] if state is None else beta * state[i] + g[i]
        new[i] = x[i] - lr * memory[i]
    return new, memory
""",
        "torch": """
import torch

def first_state(x):
    return torch.zeros(x.shape, dtype=torch.float64)

def heavy_ball(x, g, state, lr, beta):
    v = beta * state + torch.as_tensor(g)
    return torch.as_tensor(x) - lr * v, v
""",
    },
    "wrong": {
        "velocity changed in place": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    state *= beta
    state += g
    return x - lr * state, state
""",
        "parameters changed in place": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    x -= lr * v
    return x, v
""",
        "velocity in a global variable": """
def first_state(x):
    global velocity
    velocity = np.zeros_like(x)
    return velocity

def heavy_ball(x, g, state, lr, beta):
    global velocity
    velocity = beta * velocity + g
    return x - lr * velocity, velocity
""",
        "learning rate inside the velocity": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    w = beta * state - lr * g
    return x + w, w
""",
        "Polyak's form with the previous iterate": """
def first_state(x):
    return x.copy()

def heavy_ball(x, g, state, lr, beta):
    return x - lr * g + beta * (x - state), x
""",
        "mean instead of sum": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + (1 - beta) * g
    return x - lr * v, v
""",
        "state not carried": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return x - lr * v, state
""",
        "sign of the step": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return x + lr * v, v
""",
        "steps with the old velocity": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    return x - lr * state, beta * state + g
""",
        "Nesterov's step": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return x - lr * (g + beta * v), v
""",
        "starts with velocity one": """
def first_state(x):
    return np.ones_like(x)

def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return x - lr * v, v
""",
        "beta fixed at 0.9": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = 0.9 * state + g
    return x - lr * v, v
""",
        "no step where the gradient is zero": FIRST
        + """
def heavy_ball(x, g, state, lr, beta):
    v = beta * state + g
    return np.where(g == 0, x, x - lr * v), v
""",
    },
}

ANSWERS["q2"] = {
    "right": {
        "two iterates": MATRIX + MULTIPLIER,
        "iterate and velocity": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 - lr * curvature, -lr * beta], [curvature, beta]])

def multiplier(t, lr, beta, curvature):
    return np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t)[0, 0]
""",
        "velocity first, product in a loop": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[beta, curvature], [-lr * beta, 1 - lr * curvature]])

def multiplier(t, lr, beta, curvature):
    M, state = iteration_matrix(lr, beta, curvature), np.array([0.0, 1.0])
    for _ in range(t):
        state = M @ state
    return float(state[1])
""",
        "older iterate first, displacement's sign": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[0, 1], [-beta, 1 + beta - lr * curvature]], dtype=np.float64)

def multiplier(t, lr, beta, curvature):
    M = np.eye(2)
    for _ in range(t):
        M = iteration_matrix(lr, beta, curvature) @ M
    return M[1].sum()
""",
    },
    "wrong": {
        "sign of beta": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 + beta - lr * curvature, beta], [1.0, 0.0]])
"""
        + MULTIPLIER,
        "gradient descent's factor on the diagonal": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 - lr * curvature, -beta], [1.0, 0.0]])
"""
        + MULTIPLIER,
        "learning rate forgotten": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 + beta - curvature, -beta], [1.0, 0.0]])
"""
        + MULTIPLIER,
        "old velocity in the step": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1.0, -lr * beta], [curvature, beta]])

def multiplier(t, lr, beta, curvature):
    return np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t)[0, 0]
""",
        "mean instead of sum": """
def iteration_matrix(lr, beta, curvature):
    return np.array([[1 + beta - lr * (1 - beta) * curvature, -beta], [1.0, 0.0]])
"""
        + MULTIPLIER,
        "started with zero before x0": MATRIX
        + """
def multiplier(t, lr, beta, curvature):
    return np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t)[0, 0]
""",
        "the power one too low": MATRIX
        + """
def multiplier(t, lr, beta, curvature):
    if t == 0:
        return 1.0
    power = np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t - 1)
    return (power @ np.ones(2))[0]
""",
        "power element by element": MATRIX
        + """
def multiplier(t, lr, beta, curvature):
    return float(t == 0) or ((iteration_matrix(lr, beta, curvature) ** t) @ np.ones(2))[0]
""",
        "power of the spectral radius": MATRIX
        + """
def multiplier(t, lr, beta, curvature):
    return np.abs(np.linalg.eigvals(iteration_matrix(lr, beta, curvature))).max() ** t
""",
    },
}

ANSWERS["q4"] = {
    "right": {
        "complex square root, inequalities": RADIUS
        + """
def stable(lr, beta, curvature):
    p = lr * curvature
    return (0 < p) & (p < 2 * (1 + beta)) & (beta < 1)
""",
        "eigenvalues of a stack of matrices": """
def spectral_radius(lr, beta, curvature):
    lr, beta, curvature = np.broadcast_arrays(lr, beta, curvature)
    M = np.zeros((*lr.shape, 2, 2))
    M[..., 0, 0] = 1 + beta - lr * curvature
    M[..., 0, 1] = -beta
    M[..., 1, 0] = 1
    return np.abs(np.linalg.eigvals(M)).max(axis=-1)
"""
        + STABLE,
        "case by case, float32 at the end": """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    d = s * s - 4 * beta
    real = (np.abs(s) + np.sqrt(np.maximum(d, 0))) / 2
    return np.where(d < 0, np.sqrt(np.abs(beta)), real).astype(np.float32)

def stable(lr, beta, curvature):
    p = np.asarray(lr) * curvature
    return np.logical_and.reduce(np.broadcast_arrays(p > 0, p < 2 + 2 * beta, np.less(beta, 1)))
""",
        "np.vectorize over the polynomial's roots": """
@np.vectorize
def spectral_radius(lr, beta, curvature):
    return np.abs(np.roots([1, -(1 + beta - lr * curvature), beta])).max()
"""
        + STABLE,
    },
    "wrong": {
        "sqrt of beta everywhere": """
def spectral_radius(lr, beta, curvature):
    return np.sqrt(np.abs(beta)) + 0 * lr * curvature

def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1)
""",
        "beta where the eigenvalues are complex": """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    d = s * s - 4 * beta
    return np.where(d < 0, np.abs(beta), (np.abs(s) + np.sqrt(np.maximum(d, 0))) / 2)

def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1)
""",
        "only the root with plus": """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    return np.abs(s + np.emath.sqrt(s**2 - 4 * beta)) / 2

def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1)
""",
        "largest root without absolute value": """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    d = np.emath.sqrt(s**2 - 4 * beta)
    return np.maximum((s + d).real, (s - d).real) / 2

def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1)
""",
        "not halved": """
def spectral_radius(lr, beta, curvature):
    s = 1 + beta - lr * curvature
    d = np.emath.sqrt(s**2 - 4 * beta)
    return np.maximum(np.abs(s + d), np.abs(s - d))

def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1)
""",
        "beta at least 1 called stable": RADIUS
        + """
def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta))
""",
        "gradient descent's limit": RADIUS
        + """
def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2) & (np.abs(beta) < 1)
""",
        "negative curvature called stable": RADIUS
        + """
def stable(lr, beta, curvature):
    return (lr * curvature < 2 * (1 + beta)) & (np.abs(beta) < 1)
""",
        "the complex region": RADIUS
        + """
def stable(lr, beta, curvature):
    p, root = lr * curvature, np.sqrt(np.abs(beta))
    return ((1 - root) ** 2 <= p) & (p <= (1 + root) ** 2) & np.less(beta, 1)
""",
        "beta from 0 on only": RADIUS
        + """
def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p < 2 * (1 + beta)) & np.less(beta, 1) & np.greater_equal(beta, 0)
""",
        "mean instead of sum": RADIUS
        + """
def stable(lr, beta, curvature):
    p = lr * curvature
    return (p > 0) & (p * (1 - beta) < 2 * (1 + beta)) & (np.abs(beta) < 1)
""",
        "numbers only": RADIUS
        + """
def stable(lr, beta, curvature):
    return 0 < lr * curvature < 2 * (1 + beta) and beta < 1
""",
    },
}

ANSWERS["q5"] = {
    "right": {
        "formula": BEST_BETA + BEST_PAIR,
        "search on a grid of beta, then of the learning rate": """
betas = np.arange(0, 1, 0.0005)

def rates(lr, smallest, largest):
    low, high = (spectral_radius(lr, betas, c) for c in (smallest, largest))
    return np.maximum(low, high)

def best_beta(lr, smallest, largest):
    return betas[np.argmin(rates(lr, smallest, largest))]

def best_pair(smallest, largest):
    low, high = 1 / largest, 4 / largest
    for _ in range(60):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        worst = [max(abs(1 - np.sqrt(lr * c)) for c in (smallest, largest)) for lr in (a, b)]
        low, high = (low, b) if worst[0] < worst[1] else (a, high)
    return [low, max((1 - np.sqrt(low * c)) ** 2 for c in (smallest, largest))]

lr, beta = best_pair(1.0, 400.0)
rate_400 = max(spectral_radius(lr, beta, c) for c in (1.0, 400.0))
""",
        "minimised by SciPy, many curvatures": """
from scipy.optimize import minimize_scalar

def rate(lr, beta, smallest, largest):
    return np.max(spectral_radius(lr, beta, np.geomspace(smallest, largest, 50)))

def best_beta(lr, smallest, largest):
    betas = np.linspace(0, 0.9999, 400)
    start = betas[np.argmin([rate(lr, b, smallest, largest) for b in betas])]
    bounds = max(start - 0.003, 0), min(start + 0.003, 1)
    return minimize_scalar(
        lambda b: rate(lr, b, smallest, largest), bounds=bounds, method="bounded",
        options={"xatol": 1e-6},
    ).x

def best_pair(smallest, largest):
    k = np.sqrt(largest / smallest)
    return np.array(4 / (smallest * (1 + k) ** 2)), np.float32(((k - 1) / (k + 1)) ** 2)

rate_400 = 0.9048
""",
    },
    "wrong": {
        "only the smallest curvature": """
def best_beta(lr, smallest, largest):
    return (1 - np.sqrt(lr * smallest)) ** 2
"""
        + BEST_PAIR,
        "only the largest curvature": """
def best_beta(lr, smallest, largest):
    return (1 - np.sqrt(lr * largest)) ** 2
"""
        + BEST_PAIR,
        "the best pair's beta, whatever the learning rate": """
def best_beta(lr, smallest, largest):
    return best_pair(smallest, largest)[1]
"""
        + BEST_PAIR,
        "root of beta": """
def best_beta(lr, smallest, largest):
    return max(abs(1 - np.sqrt(lr * smallest)), abs(1 - np.sqrt(lr * largest)))

def best_pair(smallest, largest):
    a, b = np.sqrt(smallest), np.sqrt(largest)
    return 4 / (a + b) ** 2, (b - a) / (b + a)

rate_400 = 19 / 21
""",
        "square root of the product forgotten": """
def best_beta(lr, smallest, largest):
    return max((1 - lr * smallest) ** 2, (1 - lr * largest) ** 2)
"""
        + BEST_PAIR,
        "smallest beta with a stable strip": """
def best_beta(lr, smallest, largest):
    return max(lr * largest / 2 - 1, 0.0)
"""
        + BEST_PAIR,
        "minimum instead of maximum": """
def best_beta(lr, smallest, largest):
    return min((1 - np.sqrt(lr * smallest)) ** 2, (1 - np.sqrt(lr * largest)) ** 2)
"""
        + BEST_PAIR,
        "search by the best instead of the worst curvature": """
def best_beta(lr, smallest, largest):
    betas, curvatures = np.linspace(0, 0.999, 1000), np.linspace(smallest, largest, 9)
    rates = np.min([spectral_radius(lr, betas, c) for c in curvatures], axis=0)
    return betas[np.argmin(rates)]
"""
        + BEST_PAIR,
        "gradient descent's learning rate, beta instead of its root": BEST_BETA
        + """
def best_pair(smallest, largest):
    lr = 2 / (smallest + largest)
    return lr, best_beta(lr, smallest, largest)

rate_400 = (19 / 21) ** 2
""",
        "condition number without its root": BEST_BETA
        + """
def best_pair(smallest, largest):
    return 4 / (smallest + largest) ** 2, ((largest - smallest) / (largest + smallest)) ** 2

rate_400 = 399 / 401
""",
        "learning rate and beta exchanged, rate to leading order": BEST_BETA
        + """
def best_pair(smallest, largest):
    lr = 4 / (np.sqrt(smallest) + np.sqrt(largest)) ** 2
    return best_beta(lr, smallest, largest), lr

rate_400 = 1 - 2 / 20
""",
    },
}

ANSWERS["q6"] = {
    "right": {
        "loop with heavy_ball": MEASURED + PREDICTED + COSTS,
        "all iterates kept, eigenvalues one by one": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones_like(curvatures, dtype=float)
    state, norms = first_state(x), [np.sqrt(x @ x)]
    for _ in range(5000):
        g = np.array([c * xi for c, xi in zip(curvatures, x)])
        x, state = heavy_ball(x, g, state, lr, beta)
        norms.append(np.sqrt(np.sum(x**2)))
    return np.argmax(np.array(norms) < tolerance * norms[0])

def steps_predicted(lr, beta, curvatures, tolerance):
    rate = max(np.abs(np.linalg.eigvals(iteration_matrix(lr, beta, c))).max() for c in curvatures)
    return np.log10(1 / tolerance) / np.log10(1 / rate)

steps = {
    b: steps_predicted(*best_pair(b, 1000), [1.0, 31.6, 1000.0], 1e-6) for b in (0.1, 1, 10)
}
cost_too_small, cost_too_large = steps[10] / steps[1], steps[0.1] / steps[1]
""",
        "by the multipliers, the costs rounded": """
def steps_measured(lr, beta, curvatures, tolerance):
    t = 1
    while True:
        x = [multiplier(t, lr, beta, c) for c in curvatures]
        if np.linalg.norm(x) < tolerance * np.sqrt(len(x)):
            return t
        t += 1
"""
        + PREDICTED
        + """
cost_too_small = 6.16
cost_too_large = 3.16
""",
    },
    "wrong": {
        "counts one too few, natural and decimal logarithm mixed": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, first = first_state(x), np.linalg.norm(x)
    for t in range(100000):
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        if np.linalg.norm(x) < tolerance * first:
            return t

def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log10(tolerance) / np.log(spectral_radius(lr, beta, curvatures).max())
"""
        + COSTS,
        "the loss instead of the distance, rate of the fastest direction": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, first, t = first_state(x), np.sum(curvatures * x**2), 0
    while not np.sum(curvatures * x**2) < tolerance * first:
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        t += 1
    return t

def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log(tolerance) / np.log(spectral_radius(lr, beta, curvatures).min())
"""
        + COSTS,
        "absolute tolerance, rate always the root of beta": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, t = first_state(x), 0
    while not np.linalg.norm(x) < tolerance:
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        t += 1
    return t

def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log(tolerance) / np.log(np.sqrt(beta))

predicted = {b: steps_predicted(*best_pair(b, 1000.0), None, 0.01) for b in (10.0, 1.0, 0.1)}
cost_too_small = predicted[10.0] / predicted[1.0]
cost_too_large = predicted[0.1] / predicted[1.0]
""",
        "squared norm, prediction rounded up": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, t, d = first_state(x), 0, len(x)
    while not x @ x < tolerance * d:
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        t += 1
    return t

def steps_predicted(lr, beta, curvatures, tolerance):
    return np.ceil(np.log(tolerance) / np.log(spectral_radius(lr, beta, curvatures).max()))
"""
        + COSTS,
        "state thrown away, first order of the logarithm": """
def steps_measured(lr, beta, curvatures, tolerance):
    x, t = np.ones(len(curvatures)), 0
    while np.linalg.norm(x) >= tolerance * np.sqrt(len(x)) and t < 5000:
        x, _ = heavy_ball(x, curvatures * x, first_state(x), lr, beta)
        t += 1
    return t

def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log(1 / tolerance) / (1 - spectral_radius(lr, beta, curvatures).max())
"""
        + COSTS,
        "gradient descent's rate, costs upside down": MEASURED
        + """
def steps_predicted(lr, beta, curvatures, tolerance):
    return np.log(tolerance) / np.log(np.abs(1 - lr * np.asarray(curvatures)).max())

cost_too_small = 1 / 6.16
cost_too_large = 1 / 3.16
""",
        "costs: the other condition number's own problem": """
def steps_measured(lr, beta, curvatures, tolerance):
    return int(np.ceil(steps_predicted(lr, beta, curvatures, tolerance)))
"""
        + PREDICTED
        + """
def right(smallest):
    pair = best_pair(smallest, 1000.0)
    return steps_predicted(*pair, np.array([smallest, 1000.0]), 0.01)

cost_too_small = right(1.0) / right(10.0)
cost_too_large = right(0.1) / right(1.0) * 1.1
""",
        "costs exchanged, last crossing": """
def steps_measured(lr, beta, curvatures, tolerance):
    x = np.ones(len(curvatures))
    state, last = first_state(x), 0
    for t in range(1, 5000):
        x, state = heavy_ball(x, curvatures * x, state, lr, beta)
        if np.linalg.norm(x) >= tolerance * np.sqrt(len(x)):
            last = t
    return last
"""
        + PREDICTED
        + """
cost_too_small, cost_too_large = 3.16, 6.16
""",
    },
}

ANSWERS["q7"] = {
    "right": {
        "equations one by one": CYCLE_POINTS + SMALLEST_LR + CYCLE,
        "affine maps once round, bisection, a list": """
def cycle_points(pieces, lr, beta):
    maps = []
    for piece in pieces:
        a, b = {"L": (25.0, 0.0), "M": (1.0, 24.0), "R": (25.0, -24.0)}[piece]
        maps.append(np.array([[1 + beta - lr * a, -beta, -lr * b], [1, 0, 0], [0, 0, 1]]))
    whole = np.eye(3)
    for step in maps:
        whole = step @ whole
    pair = np.linalg.solve(np.eye(2) - whole[:2, :2], whole[:2, 2])
    state, points = np.array([*pair, 1.0]), []
    for step in maps:
        points.append(state[0])
        state = step @ state
    return np.array(points)

low, high = 0.1, 0.11
for _ in range(40):
    middle = (low + high) / 2
    a, b, c = cycle_points("RLL", middle, 4 / 9)
    low, high = (low, middle) if a >= 2 and b < 1 and c < 1 else (middle, high)
smallest_lr = low
cycle = list(cycle_points("RLLRLLR", 1 / 9, 0.9))
""",
        "SymPy, by the rule's own steps": """
import sympy as sp

def cycle_points(pieces, lr, beta):
    x = sp.symbols(f"x0:{len(pieces)}")
    slope = {"L": lambda x: 25 * x, "M": lambda x: x + 24, "R": lambda x: 25 * x - 24}
    k = len(pieces)
    equations = [
        x[i] - lr * slope[pieces[i]](x[i]) + beta * (x[i] - x[i - 1]) - x[(i + 1) % k]
        for i in range(k)
    ]
    solution = sp.solve(equations, x)
    return np.array([float(solution[v]) for v in x], dtype=np.float32)

smallest_lr = 0.10544
x, state, xs = np.array([3.2]), first_state(np.array([3.2])), []
for _ in range(700):
    x, state = heavy_ball(x, objectives.lessard.gradient(x), state, 1 / 9, 0.9)
    xs.append(float(x[0]))
start = xs.index(max(xs[-7:]))
start = len(xs) - 14 + int(np.argmax(xs[-14:-7]))
cycle = np.round(xs[start : start + 7], 5)
""",
    },
    "wrong": {
        "offsets forgotten": """
def cycle_points(pieces, lr, beta):
    k = len(pieces)
    A = np.zeros((k, k))
    for i, piece in enumerate(pieces):
        A[i, (i + 1) % k], A[i, i] = 1, lr * {"L": 25, "M": 1, "R": 25}[piece] - 1 - beta
        A[i, i - 1] = beta
    return np.linalg.solve(A, np.zeros(k))
"""
        + NUMBERS,
        "always RLL, points of the chapter": """
def cycle_points(pieces, lr, beta):
    return np.array([2.115918367, 0.646530612, -1.802448980])
"""
        + NUMBERS,
        "offset of the middle piece with the wrong sign": CYCLE_POINTS.replace(
            '"M": (1, 24)', '"M": (1, -24)'
        )
        + NUMBERS,
        "curvature 25 on the middle piece": CYCLE_POINTS.replace('"M": (1, 24)', '"M": (25, 24)')
        + NUMBERS,
        "the order of the points reversed": CYCLE_POINTS.replace("(i + 1)", "(i - 1)", 1).replace(
            "A[i, (i - 1) % k] += beta", "A[i, (i + 1) % k] += beta"
        )
        + NUMBERS,
        "the point before the first forgotten": CYCLE_POINTS.replace(
            "A[i, (i - 1) % k] += beta", "A[i, i - 1] += beta if i else 0"
        )
        + NUMBERS,
        "shifted by one": CYCLE_POINTS.replace(
            "return np.linalg.solve(A, b)", "return np.roll(np.linalg.solve(A, b), 1)"
        )
        + NUMBERS,
        "simulated until it repeats": """
def cycle_points(pieces, lr, beta):
    x, v, xs = 3.3, 0.0, []
    for _ in range(900):
        v = beta * v + (25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24)
        x = x - lr * v
        xs.append(x)
    last = np.array(xs[-len(pieces):])
    return np.roll(last, -last.argmax())
"""
        + NUMBERS,
        "numbers: only the first point checked, read before it has settled": CYCLE_POINTS
        + """
smallest_lr = next(
    lr for lr in np.arange(0.09, 0.12, 0.00002) if cycle_points("RLL", lr, 4 / 9)[0] >= 2
)
"""
        + CYCLE.replace("3000", "70"),
        "numbers: largest stable learning rate, the period missed": CYCLE_POINTS
        + """
smallest_lr = 2 * (1 + 4 / 9) / 25
"""
        + CYCLE.replace("xs[-7:]", "xs[-3:]"),
        "numbers: a coarse grid, visited backwards": CYCLE_POINTS
        + """
smallest_lr = 0.106
"""
        + CYCLE
        + """
cycle = np.roll(cycle[::-1], 1)
""",
        "numbers: other beta, the cycle of beta = 4/9": CYCLE_POINTS
        + SMALLEST_LR.replace("4 / 9", "0.5")
        + """
cycle = cycle_points("RLL", 1 / 9, 4 / 9)
""",
    },
}

# Written from the student's notebook alone, without a look at the tests.
ANSWERS["q2"]["right"]["position and velocity, power of an array"] = """
def iteration_matrix(lr, beta, curvature):
    # acts on (x, v):  v' = beta v + c x,   x' = x - lr v'
    return np.array([
        [1 - lr * curvature, -lr * beta],
        [curvature, beta],
    ], dtype=float)


def multiplier(t, lr, beta, curvature):
    power = np.linalg.matrix_power(iteration_matrix(lr, beta, curvature), t)
    return power[0, 0]  # start (1, 0)
"""
