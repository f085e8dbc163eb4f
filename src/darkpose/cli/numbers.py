"""Numbers that commands take, checked before anything is done."""

from typing import Annotated

from cyclopts import Parameter, validators

Count = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=1024))]
