//! Arithmetic on an expression, without evaluating code.

use std::iter::Peekable;
use std::str::CharIndices;

/// The longest expression, in characters.
pub const MAX_CHARS: usize = 1_000;

/// The deepest nesting of parentheses, signs and powers.
pub const MAX_DEPTH: usize = 100;

/// Calculates an expression such as `2 * (3 + 4) ^ 2`.
///
/// - Operators, loosest first: `+ -`, then `* / %`, then a sign, then `^`, which groups from the right; so `-2 ^ 2` is -4. The
///   remainder has the sign of the divisor.
/// - Functions: `sqrt`, `abs`, `round` (halves away from zero), `floor`, `ceil`, `min`, `max`, `ln`, `log10`, and `sin`, `cos`
///   and `tan` of radians. Constants: `pi`, `e`.
/// - Numbers: `12`, `0.5`, `.5`, `1e-3`.
///
/// All numbers are 64-bit floats, so integers are exact up to 2^53. [`format_number`] writes the result for reading.
///
/// ```
/// use openai_agents::tools::bundled::calculator::{calculate, format_number};
///
/// assert_eq!(format_number(calculate("2 * (3 + 4) ^ 2")?), "98");
/// # Ok::<(), openai_agents::tools::bundled::calculator::CalculatorError>(())
/// ```
///
/// # Errors
///
/// Returns a [`CalculatorError`] with the position if the expression is not well formed, too long or too deep, or if a step has no
/// finite result.
pub fn calculate(expression: &str) -> Result<f64, CalculatorError> {
    if expression.chars().count() > MAX_CHARS {
        return Err(CalculatorError::TooLong);
    }
    let mut parser = ExpressionParser {
        text: expression,
        chars: expression.char_indices().peekable(),
        depth: 0,
    };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.unexpected()),
    }
}

/// Writes a number for reading: integers up to 2^53 exactly, others to 15 digits.
///
/// ```
/// use openai_agents::tools::bundled::calculator::format_number;
///
/// assert_eq!(format_number(3.0), "3");
/// assert_eq!(format_number(0.1 + 0.2), "0.3");
/// assert_eq!(format_number(1e21), "1e21");
/// ```
pub fn format_number(number: f64) -> String {
    // Above 2^53 not every integer is a float, and all digits would promise too much.
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    if number == 0.0 {
        // Both zeros.
        return "0".to_owned();
    }
    if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    if (1e-6..1e15).contains(&rounded.abs()) {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
}

/// Says why an expression has no value; positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalculatorError {
    /// The expression has too many characters.
    #[error("the expression is longer than {MAX_CHARS} characters")]
    TooLong,
    /// Parentheses, signs or powers are nested too deeply.
    #[error("the expression is nested more than {MAX_DEPTH} levels deep at position {position}")]
    TooDeep {
        /// Where the limit was passed.
        position: usize,
    },
    /// The expression ends where a value or parenthesis has to come.
    #[error("the expression ends too early")]
    UnexpectedEnd,
    /// A character does not fit where it is.
    #[error("unexpected `{found}` at position {position}")]
    UnexpectedCharacter {
        /// The character.
        found: char,
        /// Where it is.
        position: usize,
    },
    /// A number is not well formed.
    #[error("`{text}` at position {position} is not a number")]
    InvalidNumber {
        /// What was written.
        text: String,
        /// Where it begins.
        position: usize,
    },
    /// There is no function or constant of this name.
    #[error("unknown name `{name}` at position {position}")]
    UnknownName {
        /// The name.
        name: String,
        /// Where it begins.
        position: usize,
    },
    /// A function got too few or too many arguments.
    #[error("`{name}` at position {position} does not take {n_arguments} arguments")]
    ArgumentCount {
        /// The function.
        name: String,
        /// How many arguments it got.
        n_arguments: usize,
        /// Where the name begins.
        position: usize,
    },
    /// The divisor of `/` or `%` is zero.
    #[error("division by zero at position {position}")]
    DivisionByZero {
        /// Where the operator is.
        position: usize,
    },
    /// A step has no finite real result.
    #[error("`{operation}` at position {position} has no finite result")]
    NotFinite {
        /// The operator, function or number.
        operation: String,
        /// Where it is.
        position: usize,
    },
}

/// Calculates while it reads: one method for each level of precedence, the loosest first.
struct ExpressionParser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    depth: usize,
}

impl<'a> ExpressionParser<'a> {
    fn sum(&mut self) -> Result<f64, CalculatorError> {
        let mut left = self.product()?;
        while let Some((position, operator)) = self.take_any(&['+', '-']) {
            let right = self.product()?;
            let value = if operator == '+' {
                left + right
            } else {
                left - right
            };
            left = finite(value, operator, position)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<f64, CalculatorError> {
        let mut left = self.signed()?;
        while let Some((position, operator)) = self.take_any(&['*', '/', '%']) {
            let right = self.signed()?;
            if operator != '*' && right == 0.0 {
                return Err(CalculatorError::DivisionByZero { position });
            }
            let value = match operator {
                '*' => left * right,
                '/' => left / right,
                _ => remainder(left, right),
            };
            left = finite(value, operator, position)?;
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<f64, CalculatorError> {
        match self.take_any(&['-', '+']) {
            Some((_, '-')) => Ok(-self.nested(Self::signed)?),
            Some(_) => self.nested(Self::signed),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Result<f64, CalculatorError> {
        let base = self.value()?;
        let Some((position, operator)) = self.take_any(&['^']) else {
            return Ok(base);
        };
        let exponent = self.nested(Self::signed)?;
        finite(base.powf(exponent), operator, position)
    }

    fn value(&mut self) -> Result<f64, CalculatorError> {
        match self.peek() {
            None => Err(CalculatorError::UnexpectedEnd),
            Some('(') => {
                self.chars.next();
                let value = self.nested(Self::sum)?;
                self.expect(')')?;
                Ok(value)
            }
            Some('0'..='9' | '.') => self.number(),
            Some(found) if found.is_ascii_alphabetic() => self.name(),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Result<f64, CalculatorError> {
        let position = self.position();
        let mut previous = ' ';
        let text = self.take_while(|next| {
            let is_sign_of_exponent = matches!(next, '+' | '-') && matches!(previous, 'e' | 'E');
            previous = next;
            is_sign_of_exponent || next == '.' || next.is_ascii_alphanumeric()
        });
        match text.parse::<f64>() {
            Ok(value) => finite(value, text, position),
            Err(_) => Err(CalculatorError::InvalidNumber {
                text: text.to_owned(),
                position,
            }),
        }
    }

    fn name(&mut self) -> Result<f64, CalculatorError> {
        let position = self.position();
        let name = self.take_while(|next| next.is_ascii_alphanumeric() || next == '_');
        match name {
            "pi" => return Ok(std::f64::consts::PI),
            "e" => return Ok(std::f64::consts::E),
            _ => {}
        }
        let Some(function) = MathFunction::named(name) else {
            return Err(CalculatorError::UnknownName {
                name: name.to_owned(),
                position,
            });
        };
        self.expect('(')?;
        let mut arguments = Vec::new();
        if self.peek() != Some(')') {
            arguments.push(self.nested(Self::sum)?);
            while self.take_any(&[',']).is_some() {
                arguments.push(self.nested(Self::sum)?);
            }
        }
        self.expect(')')?;
        match function.apply(&arguments) {
            Some(value) => finite(value, name, position),
            None => Err(CalculatorError::ArgumentCount {
                name: name.to_owned(),
                n_arguments: arguments.len(),
                position,
            }),
        }
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<f64, CalculatorError>,
    ) -> Result<f64, CalculatorError> {
        if self.depth == MAX_DEPTH {
            return Err(CalculatorError::TooDeep {
                position: self.position(),
            });
        }
        self.depth += 1;
        let value = parse(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn expect(&mut self, wanted: char) -> Result<(), CalculatorError> {
        match self.take_any(&[wanted]) {
            Some(_) => Ok(()),
            None => Err(self.unexpected()),
        }
    }

    /// Takes the next character if it is one of these; gives its position and itself.
    fn take_any(&mut self, wanted: &[char]) -> Option<(usize, char)> {
        let next = self.peek().filter(|next| wanted.contains(next))?;
        let position = self.position();
        self.chars.next();
        Some((position, next))
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'a str {
        let start = self.offset();
        while self.chars.next_if(|&(_, next)| wanted(next)).is_some() {}
        self.text.get(start..self.offset()).unwrap_or_default()
    }

    /// Looks at the next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        while self
            .chars
            .next_if(|&(_, next)| next.is_whitespace())
            .is_some()
        {}
        self.chars.peek().map(|&(_, next)| next)
    }

    fn offset(&mut self) -> usize {
        self.chars
            .peek()
            .map_or(self.text.len(), |&(offset, _)| offset)
    }

    fn position(&mut self) -> usize {
        let offset = self.offset();
        self.text
            .get(..offset)
            .map_or(0, |before| before.chars().count())
            + 1
    }

    fn unexpected(&mut self) -> CalculatorError {
        match self.peek() {
            None => CalculatorError::UnexpectedEnd,
            Some(found) => CalculatorError::UnexpectedCharacter {
                found,
                position: self.position(),
            },
        }
    }
}

enum MathFunction {
    OfOne(fn(f64) -> f64),
    OfMany(fn(f64, f64) -> f64),
}

impl MathFunction {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sqrt" => Self::OfOne(f64::sqrt),
            "abs" => Self::OfOne(f64::abs),
            "round" => Self::OfOne(f64::round),
            "floor" => Self::OfOne(f64::floor),
            "ceil" => Self::OfOne(f64::ceil),
            "ln" => Self::OfOne(f64::ln),
            "log10" => Self::OfOne(f64::log10),
            "sin" => Self::OfOne(f64::sin),
            "cos" => Self::OfOne(f64::cos),
            "tan" => Self::OfOne(f64::tan),
            "min" => Self::OfMany(f64::min),
            "max" => Self::OfMany(f64::max),
            _ => return None,
        })
    }

    fn apply(&self, arguments: &[f64]) -> Option<f64> {
        match (self, arguments) {
            (Self::OfOne(function), &[only]) => Some(function(only)),
            (Self::OfMany(function), &[first, ref rest @ ..]) => Some(
                rest.iter()
                    .fold(first, |value, &next| function(value, next)),
            ),
            (Self::OfOne(_) | Self::OfMany(_), _) => None,
        }
    }
}

fn remainder(left: f64, right: f64) -> f64 {
    let rest = left % right;
    if rest != 0.0 && (rest < 0.0) != (right < 0.0) {
        rest + right
    } else {
        rest
    }
}

fn finite(
    value: f64,
    operation: impl Into<String>,
    position: usize,
) -> Result<f64, CalculatorError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(CalculatorError::NotFinite {
        operation: operation.into(),
        position,
    })
}

#[cfg(test)]
mod tests;
