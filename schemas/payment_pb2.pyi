from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Payment(_message.Message):
    __slots__ = ("id", "payee_bank", "payee_account_no", "payment_amount", "payment_method", "payor_account_no")
    ID_FIELD_NUMBER: _ClassVar[int]
    PAYEE_BANK_FIELD_NUMBER: _ClassVar[int]
    PAYEE_ACCOUNT_NO_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    PAYOR_ACCOUNT_NO_FIELD_NUMBER: _ClassVar[int]
    id: str
    payee_bank: str
    payee_account_no: int
    payment_amount: float
    payment_method: str
    payor_account_no: int
    def __init__(self, id: _Optional[str] = ..., payee_bank: _Optional[str] = ..., payee_account_no: _Optional[int] = ..., payment_amount: _Optional[float] = ..., payment_method: _Optional[str] = ..., payor_account_no: _Optional[int] = ...) -> None: ...
